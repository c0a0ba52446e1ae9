// flags: -pthread
// Works when it is told to, and says exactly what it did.
//
// "go N" on the standard input: each of THREADS threads keeps N blocks of SIZE bytes, makes and frees N others, and
// frees N of those that it made before the first command. With a second argument so many other threads make and free
// blocks all the while, elsewhere.
#define _GNU_SOURCE
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { THREADS = 4, SIZE = 100, OLD = 1 << 16 };

static void *old[THREADS][OLD];
static int old_left = OLD;
static pthread_barrier_t begin, end;
static atomic_int number;
static atomic_int over;
static void *volatile sink;

__attribute__((noinline)) static void keep(void) { sink = malloc(SIZE); }

__attribute__((noinline)) static void pass(void)
{
    void *volatile block = malloc(SIZE * 2);
    free(block);
}

static void *work(void *argument)
{
    void **mine = argument;
    int at = 0;
    for (;;) {
        pthread_barrier_wait(&begin);
        int count = number;
        if (count < 0)
            return NULL;
        for (int i = 0; i < count; i++) {
            keep();
            pass();
            free(mine[at++]);
        }
        pthread_barrier_wait(&end);
    }
}

static void *churn(void *unused)
{
    while (!over) {
        void *volatile block = malloc(64);
        free(block);
    }
    return unused;
}

int main(int argc, char **argv)
{
    int others = argc > 1 ? atoi(argv[1]) : 0;
    pthread_t threads[THREADS], noise[64];
    pthread_barrier_init(&begin, NULL, THREADS + 1);
    pthread_barrier_init(&end, NULL, THREADS + 1);
    for (int i = 0; i < THREADS; i++) {
        for (int j = 0; j < OLD; j++)
            old[i][j] = malloc(SIZE);
        pthread_create(&threads[i], NULL, work, old[i]);
    }
    for (int i = 0; i < others; i++)
        pthread_create(&noise[i], NULL, churn, NULL);
    (void)!write(1, "ready\n", 6);
    char line[64];
    for (;;) {
        struct pollfd input = {0, POLLIN, 0};
        while (poll(&input, 1, 5) == 0)
            ;
        ssize_t length = read(0, line, sizeof line - 1);
        if (length <= 0)
            break;
        line[length] = 0;
        int count = atoi(line + 3);
        if (count > old_left)
            count = old_left;
        old_left -= count;
        number = count;
        pthread_barrier_wait(&begin);
        pthread_barrier_wait(&end);
        char said[64];
        int size = snprintf(said, sizeof said, "did %d\n", count * THREADS);
        (void)!write(1, said, size);
    }
    over = 1;
    number = -1;
    pthread_barrier_wait(&begin);
    for (int i = 0; i < others; i++)
        pthread_join(noise[i], NULL);
    for (int i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
