// live at exit: 3 blocks, 300 bytes (in each of the processes)
// usage: mailboxes PROCESSES THREADS ROUNDS. Each process works alone for a while, then its threads swap
// blocks through mailboxes: whoever puts one in frees the one that was there.
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BOXES = 512, STACK = 65536, MOST_THREADS = 16 };
static _Atomic(void *) boxes[BOXES];
static long rounds;

static uint64_t next(uint64_t *state) {
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static void swap(uint64_t *state) {
    size_t size = 16 + next(state) % 900;
    void *block = malloc(size);
    *(char *)block = 1;
    free(atomic_exchange(&boxes[next(state) % BOXES], block));
}

static void *work(void *seed) {
    uint64_t state = (uintptr_t)seed;
    for (long i = 0; i < rounds; i++)
        swap(&state);
    return NULL;
}

static void process(int threads, uint64_t state) {
    void *kept[3];
    for (int i = 0; i < 3; i++)
        kept[i] = malloc(100);
    for (long i = 0; i < rounds; i++)
        swap(&state);
    pthread_t ids[MOST_THREADS];
    for (int i = 0; i < threads; i++) {
        // A stack of its own, as the C library keeps a block for each of the others.
        pthread_attr_t attributes;
        pthread_attr_init(&attributes);
        void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_attr_setstack(&attributes, stack, STACK);
        if (pthread_create(&ids[i], &attributes, work, (void *)(uintptr_t)next(&state)) != 0)
            _exit(1);
    }
    for (int i = 0; i < threads; i++)
        pthread_join(ids[i], NULL);
    for (int i = 0; i < BOXES; i++)
        free(atomic_exchange(&boxes[i], NULL));
    // Kept out of the optimizer's reach.
    boxes[0] = kept[0];
}

int main(int count, char **arguments) {
    if (count != 4)
        return 2;
    int processes = atoi(arguments[1]), threads = atoi(arguments[2]);
    rounds = atol(arguments[3]);
    if (threads > MOST_THREADS)
        return 2;
    for (int i = 1; i < processes; i++) {
        pid_t child = fork();
        if (child == 0) {
            process(threads, 88172645463325252u + i);
            return 0;
        }
        int status;
        if (waitpid(child, &status, 0) != child || status != 0)
            return 1;
    }
    process(threads, 88172645463325252u);
    return 0;
}
