// live at exit: 1 block, 30 bytes
// before exit: 2 blocks, 50 bytes
// ends: exit 9
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void *freed;

static void frees(void) {
    free(freed);
}

// POSIX forbids it, and programs do it.
static void handler(int number) {
    exit(number == SIGTERM ? 9 : 1);
}

int main(void) {
    atexit(frees);
    freed = malloc(20);
    void *kept = malloc(30);
    signal(SIGTERM, handler);
    kill(getpid(), SIGTERM);
    return kept ? 2 : 3;
}
