// live at exit: 12 blocks, 12000 bytes
// Besides what the C library keeps of its threads: threads that are silent for so long that the recorder asks whether they live, and
// go on after that, while others begin.
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { THREADS = 4, BLOCKS = 1000 };

static _Thread_local void *volatile block;

static void allocate(void) {
    for (int n = 0; n < BLOCKS; n++) {
        block = malloc(64);
        free(block);
    }
    block = malloc(1000);
}

static void *silent(void *unused) {
    allocate();
    sleep(3);
    allocate();
    return unused;
}

static void *later(void *unused) {
    allocate();
    return unused;
}

int main(void) {
    pthread_t first[THREADS], second[THREADS];
    for (int n = 0; n < THREADS; n++)
        pthread_create(first + n, NULL, silent, NULL);
    sleep(2);
    for (int n = 0; n < THREADS; n++)
        pthread_create(second + n, NULL, later, NULL);
    for (int n = 0; n < THREADS; n++) {
        pthread_join(first[n], NULL);
        pthread_join(second[n], NULL);
    }
    puts("worked");
    return 0;
}
