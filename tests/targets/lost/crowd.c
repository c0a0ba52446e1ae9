// THREADS threads that live at once: each keeps a block of 32 bytes, and allocates and frees ROUNDS others.
#include <pthread.h>
#include <stdlib.h>

enum { KEPT = 32, STACK = 64 << 10 };

static pthread_barrier_t all;
static unsigned long rounds;
static void *volatile *kept;

__attribute__((noinline)) static void keep(size_t number) { kept[number] = malloc(KEPT); }

static void *run(void *number) {
    keep((size_t)number);
    for (unsigned long round = 0; round < rounds; round++) free(malloc(round % 100 + 1));
    pthread_barrier_wait(&all);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc < 3) return 2;
    size_t count = strtoul(argv[1], NULL, 10);
    rounds = strtoul(argv[2], NULL, 10);
    pthread_t *threads = calloc(count, sizeof *threads);
    kept = calloc(count, sizeof *kept);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    pthread_barrier_init(&all, NULL, count + 1);
    for (size_t i = 0; i < count; i++)
        if (pthread_create(&threads[i], &attributes, run, (void *)i) != 0) return 3;
    pthread_barrier_wait(&all);
    for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
    return 0;
}
