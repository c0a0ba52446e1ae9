// Locks its memory in all ways, and says what it is told and how much is locked then, in MiB: a page more or less
// is the loader's.
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static long locked(void) {
    FILE *status = fopen("/proc/self/status", "r");
    char line[256];
    long kib = -1;
    while (status && fgets(line, sizeof line, status))
        if (strncmp(line, "VmLck:", 6) == 0)
            kib = atol(line + 6);
    if (status)
        fclose(status);
    return (kib + 512) / 1024;
}

static void *allocate(void *size) {
    return malloc((size_t)size);
}

static void thread(void) {
    pthread_attr_t attributes;
    pthread_t created;
    void *block = NULL;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, 64 << 10);
    int error = pthread_create(&created, &attributes, allocate, (void *)1000);
    if (error == 0)
        pthread_join(created, &block);
    printf("a thread: %d, %s; ", error, block ? "a block" : "none");
    free(block);
}

int main(void) {
    static const int ways[] = {
        MCL_CURRENT,
        MCL_FUTURE,
        MCL_CURRENT | MCL_FUTURE,
        MCL_CURRENT | MCL_ONFAULT,
        MCL_FUTURE | MCL_ONFAULT,
        MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT,
        MCL_CURRENT,
        MCL_ONFAULT,
        0,
        8 | MCL_CURRENT,
    };
    static char block[2 << 20] = {1};
    for (size_t way = 0; way < sizeof ways / sizeof *ways; way++) {
        errno = 0;
        int result = mlockall(ways[way]);
        printf("%d: %d, %d; %ld MiB; ", ways[way], result, errno, locked());
        thread();
        printf("%ld MiB, ", locked());
        munlockall();
        printf("%ld MiB at last\n", locked());
    }
    return block[0] - 1;
}
