// live at exit: 2 blocks, 3 bytes (the child runs the handler that its parent asked for)
// process: 1 block, 1 byte
// process: 1 block, 2 bytes; inherited 0 blocks, 0 bytes
// before exit: 2 blocks, 1001 bytes
// before exit: 2 blocks, 2002 bytes
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *before, *mine;

static void frees(void) {
    free(mine);
}

int main(void) {
    before = malloc(100);
    atexit(frees);
    pid_t child = fork();
    free(before);
    if (child == 0) {
        mine = malloc(2000);
        return malloc(2) ? 0 : 1;
    }
    mine = malloc(1000);
    int status = 1;
    if (waitpid(child, &status, 0) != child || status != 0)
        return 1;
    exit(malloc(1) ? 0 : 1);
}
