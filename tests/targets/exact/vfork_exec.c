// live at exit: 2 blocks, 120 bytes (1 in the parent, 1 in the program that the child becomes)
// process: 1 block, 100 bytes
// process: 1 block, 20 bytes
// valgrind: no, exec
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(20) ? 0 : 1;
    void *kept = malloc(100);
    pid_t child = vfork();
    if (child == 0) {
        execl("/proc/self/exe", arguments[0], "again", (char *)NULL);
        _exit(1);
    }
    int status = 1;
    free(malloc(50));
    return waitpid(child, &status, 0) == child && status == 0 && kept ? 0 : 1;
}
