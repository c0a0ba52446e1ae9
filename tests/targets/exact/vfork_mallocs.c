// live at exit: 2 blocks, 130 bytes (a vfork child shares its parent's heap: what it allocates is the parent's)
// process: 2 blocks, 130 bytes
// valgrind: no, it makes vfork a fork
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile from_child;

int main(void) {
    void *kept = malloc(100), *gone = malloc(70);
    pid_t child = vfork();
    if (child == 0) {
        from_child = malloc(30);
        free(gone);
        _exit(0);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0 && kept && from_child ? 0 : 1;
}
