// 50 requests: each keeps a mapping of 256 KiB (/maps), half of it touched, and begins a thread that touches 64 KiB of
// its stack and that nobody joins (/thread). Start-up keeps 8 MiB, and 4 MiB of a file that it maps and reads. Prints
// what it touched: of mappings, of stacks (as mincore has it), of the file.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { REQUESTS = 50, KIBI = 1024, PAGE = 4096, STACK = 256 * KIBI };

static sem_t ready;
static pthread_t threads[REQUESTS];

static void *work(void *nothing) {
    volatile char room[64 * KIBI];
    for (size_t at = 0; at < sizeof room; at += PAGE)
        room[at] = 1;
    sem_post(&ready);
    for (;;)
        pause();
    return nothing;
}

static long resident_of(char *from, size_t bytes) {
    static unsigned char pages[1 << 16];
    long sum = 0;
    if (mincore(from, bytes, pages) != 0)
        exit(1);
    for (size_t page = 0; page < bytes / PAGE; page++)
        sum += pages[page] & 1;
    return sum * PAGE;
}

static long stack_of(pthread_t thread) {
    pthread_attr_t attributes;
    void *from;
    size_t bytes, guard;
    if (pthread_getattr_np(thread, &attributes) != 0)
        exit(2);
    pthread_attr_getstack(&attributes, &from, &bytes);
    pthread_attr_getguardsize(&attributes, &guard);
    pthread_attr_destroy(&attributes);
    return resident_of(from, bytes);
}

int main(void) {
    pthread_attr_t attributes;
    char *start = malloc(8 << 20);
    char name[] = "/tmp/leak-kinds-XXXXXX";
    int file = mkstemp(name);
    if (start == NULL || file < 0 || unlink(name) != 0 || ftruncate(file, 4 << 20) != 0)
        return 3;
    memset(start, 1, 8 << 20);
    char *mapped = mmap(NULL, 4 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED || sem_init(&ready, 0, 0) != 0)
        return 4;
    memset(mapped, 1, 4 << 20);
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    long maps = 0, stacks = 0;
    for (int request = 0; request < REQUESTS; request++) {
        leak_begin("/maps");
        char *kept = mmap(NULL, 256 * KIBI, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (kept == MAP_FAILED)
            return 5;
        memset(kept, 1, 128 * KIBI);
        maps += 128 * KIBI;
        leak_end();
        leak_begin("/thread");
        if (pthread_create(&threads[request], &attributes, work, NULL) != 0)
            return 6;
        sem_wait(&ready);
        leak_end();
    }
    for (int request = 0; request < REQUESTS; request++)
        stacks += stack_of(threads[request]);
    printf("maps %ld stacks %ld file %d start %d\n", maps, stacks, 4 << 20, 8 << 20);
    return start[0] + mapped[0] == 2 ? 0 : 7;
}
