// live at exit: 31 blocks, 5650 bytes (1 of 1000 inherited by all; the i-th of 30 children keeps 10 times i)
// process: 1 block, 1000 bytes
// processes: 31
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    void *inherited = malloc(1000);
    for (int i = 1; i <= 30; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 1000; j++)
                free(malloc(10));
            _exit(malloc(10 * i) ? 0 : 1);
        }
    }
    int status, failed = 0;
    while (wait(&status) > 0)
        failed |= status;
    return inherited && !failed ? 0 : 1;
}
