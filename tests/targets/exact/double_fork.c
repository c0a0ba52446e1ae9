// live at exit: 3 blocks, 600 bytes (a daemon, orphaned before it allocates)
// process: 1 block, 100 bytes
// process: 1 block, 200 bytes; inherited 1 block, 100 bytes
// process: 1 block, 300 bytes; inherited 2 blocks, 300 bytes
// valgrind: no, its log of the orphan may come later
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    void *kept = malloc(100);
    int ready[2];
    if (pipe(ready) != 0)
        return 1;
    pid_t child = fork();
    if (child == 0) {
        void *mine = malloc(200);
        if (fork() != 0)
            _exit(mine ? 0 : 1);
        char byte;
        close(ready[1]);
        while (read(ready[0], &byte, 1) == 1) // until the first process has ended
            ;
        _exit(malloc(300) ? 0 : 1);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0 && kept ? 0 : 1;
}
