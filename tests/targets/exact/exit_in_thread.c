// live at exit: 4 blocks, 412 bytes (main 40, the thread 100 and 1 that a handler makes; libc 272)
// before exit: 4 blocks, 462 bytes
// ends: exit 5
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static void *freed;

static void swaps(void) {
    free(freed);
    freed = malloc(0);
}

static void *work(void *argument) {
    void *kept = malloc(100);
    exit(kept ? 5 : 1);
    return argument;
}

int main(void) {
    atexit(swaps);
    freed = malloc(50);
    void *kept = malloc(40);
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return 1;
    for (;;)
        pause();
    return kept ? 2 : 3;
}
