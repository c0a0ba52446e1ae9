// Calls every function of the family, keeps some blocks, and frees the others on other threads too.
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 4, ROUNDS = 20000 };

static void *kept[THREADS][10];

static void *work(void *number) {
    void **keep = kept[(long)number];
    void *block = NULL;
    for (int i = 0; i < ROUNDS; i++) {
        free(block);
        block = malloc(i % 3000 + 1);
        block = realloc(block, i % 5000 + 100);
    }
    free(block);
    free(NULL);
    keep[0] = malloc(100);
    keep[1] = calloc(10, 20);
    keep[2] = realloc(NULL, 300);
    keep[3] = realloc(malloc(1), 400000);
    if (posix_memalign(&keep[4], 64, 500))
        return NULL;
    keep[5] = aligned_alloc(64, 640);
    keep[6] = memalign(4096, 700);
    keep[7] = strdup("eight by"); // the C library's own calls
    keep[8] = valloc(900);
    keep[9] = malloc(0);
    free(memalign(64, 10));
    free(calloc(3, 5));
    return kept;
}

int main(void) {
    pthread_t threads[THREADS];
    void *result;
    for (long i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, (void *)i))
            return 1;
    for (int i = 0; i < THREADS; i++)
        if (pthread_join(threads[i], &result) || !result)
            return 2;
    return 0;
}
