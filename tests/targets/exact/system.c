// live at exit: 2 blocks, 58 bytes (and what sh leaves)
// process: 1 block, 50 bytes
// process: any (sh)
// process: 1 block, 8 bytes
// valgrind: no, exec
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(8) ? 5 : 1;
    char *command = malloc(50);
    char line[4096];
    snprintf(line, sizeof line, "'%s' again; exit $?", arguments[0]);
    int status = system(line);
    return command && status == 5 << 8 ? 0 : 1;
}
