// live at exit: 3 blocks, 330 bytes (execve with an environment of one variable, which the new image sees unchanged)
// process: 2 blocks, 300 bytes
// process: 1 block, 30 bytes
// valgrind: no, exec
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count > 1)
        return getenv("ONLY") && strcmp(getenv("ONLY"), "this") == 0 && malloc(30) ? 0 : 1;
    void *a = malloc(100), *b = malloc(200);
    char *again[] = {arguments[0], "again", NULL}, *environment[] = {"ONLY=this", NULL};
    if (a && b)
        execve("/proc/self/exe", again, environment);
    return 2;
}
