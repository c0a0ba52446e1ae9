// live at exit: 0 blocks, 0 bytes
// In each of its processes: CHILDREN of them are there at once, for longer than the recorder takes to look for
// those whose end nobody tells it. Each makes and frees BLOCKS blocks before and after.
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CHILDREN = 60, BLOCKS = 1000 };

static void *volatile block;

static void allocate(void) {
    for (int n = 0; n < BLOCKS; n++) {
        block = malloc(100 + n);
        free(block);
    }
}

int main(void) {
    int gate[2];
    if (pipe(gate))
        return 1;
    for (int n = 0; n < CHILDREN; n++) {
        if (fork() == 0) {
            char byte;
            close(gate[1]);
            allocate();
            // Until the parent closes its end.
            if (read(gate[0], &byte, 1) != 0)
                _exit(1);
            allocate();
            _exit(0);
        }
    }
    sleep(3);
    close(gate[1]);
    int status, ended = 0;
    while (wait(&status) > 0)
        ended += status == 0;
    printf("%d\n", ended);
    return 0;
}
