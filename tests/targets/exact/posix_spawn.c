// live at exit: 4 blocks, 160 bytes (1 in the parent, 1 in each of three spawned programs)
// process: 1 block, 100 bytes
// process: 1 block, 20 bytes
// process: 1 block, 20 bytes
// process: 1 block, 20 bytes
// valgrind: no, exec
#define _GNU_SOURCE
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(20) ? 0 : 1;
    void *kept = malloc(100);
    char *again[] = {arguments[0], "again", NULL};
    for (int i = 0; i < 3; i++) {
        pid_t child;
        int status = 1;
        if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, again, environ) != 0)
            return 1;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 2;
    }
    return kept ? 0 : 3;
}
