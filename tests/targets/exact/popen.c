// live at exit: 2 blocks, 58 bytes (and what sh leaves)
// process: 1 block, 50 bytes
// process: any (sh)
// process: 1 block, 8 bytes
// valgrind: no, exec
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(8) && write(1, "answer", 6) == 6 ? 0 : 1;
    char *kept = malloc(50);
    char line[4096], answer[16] = "";
    snprintf(line, sizeof line, "'%s' again; exit $?", arguments[0]);
    FILE *child = popen(line, "r");
    if (fgets(answer, sizeof answer, child) == NULL || strcmp(answer, "answer") != 0)
        return 1;
    return pclose(child) == 0 && kept ? 0 : 2;
}
