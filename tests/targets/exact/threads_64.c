// live at exit: 128 blocks, 18432 bytes (64 of 16 bytes; 64 of 272, libc's for each thread that still runs)
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

static pthread_barrier_t barrier;

static void *work(void *argument) {
    unsigned seed = (unsigned)(size_t)argument;
    void *kept = malloc(16);
    for (int i = 0; i < 2000; i++)
        free(malloc(1 + (size_t)rand_r(&seed) % 500));
    pthread_barrier_wait(&barrier);
    pause(); // alive when the program ends
    return kept;
}

int main(void) {
    pthread_barrier_init(&barrier, NULL, 65);
    for (size_t i = 0; i < 64; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)i) != 0)
            return 1;
    }
    pthread_barrier_wait(&barrier);
    return 0;
}
