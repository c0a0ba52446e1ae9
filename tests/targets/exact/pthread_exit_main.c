// live at exit: 9 blocks, 4468 bytes (main 40, a thread that outlives it 30; libc 272, and 4,126 in 6 for loading libgcc_s)
// before exit: none, the C library calls exit by itself when the last thread has ended
#include <pthread.h>
#include <stdlib.h>

static pthread_t first;

static void *work(void *argument) {
    pthread_join(first, NULL);
    void *kept = malloc(30);
    free(malloc(31));
    return argument ? kept : NULL;
}

int main(void) {
    first = pthread_self();
    pthread_t thread;
    void *kept = malloc(40);
    if (pthread_create(&thread, NULL, work, NULL) != 0)
        return 1;
    pthread_exit(kept);
}
