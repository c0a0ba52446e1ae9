// live at exit: 2 blocks, 70 bytes (_Fork runs no atfork handlers)
// process: 1 block, 30 bytes
// process: 1 block, 40 bytes; inherited 1 block, 30 bytes
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    void *kept = malloc(30);
    pid_t child = _Fork();
    if (child == 0)
        _exit(malloc(40) ? 0 : 1);
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0 && kept ? 0 : 1;
}
