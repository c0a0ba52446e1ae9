// 100 requests that touch 256 KiB more each, in memory that no call of theirs gives them: "reserved" of what start-up
// mapped, "raw" by a system call, "shared" as a System V segment. Prints what they touched.
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { REQUESTS = 100, EACH = 256 << 10 };

static const int BOTH = PROT_READ | PROT_WRITE, OWN = MAP_PRIVATE | MAP_ANONYMOUS;
static char *reserved;

static char *more(const char *how) {
    if (strcmp(how, "reserved") == 0)
        return reserved += EACH;
    if (strcmp(how, "raw") == 0)
        return (char *)syscall(SYS_mmap, NULL, EACH, BOTH, OWN, -1, 0);
    int segment = shmget(IPC_PRIVATE, EACH, 0600);
    char *memory = shmat(segment, NULL, 0);
    shmctl(segment, IPC_RMID, NULL);
    return memory;
}

int main(int argc, char **argv) {
    if (argc < 2)
        return 1;
    reserved = mmap(NULL, (REQUESTS + 1) * EACH, BOTH, OWN | MAP_NORESERVE, -1, 0);
    if (reserved == MAP_FAILED)
        return 2;
    for (int request = 0; request < REQUESTS; request++) {
        leak_begin("/more");
        char *memory = more(argv[1]);
        if (memory == (char *)-1)
            return 3;
        memset(memory, 1, EACH);
        leak_end();
        usleep(30000);
    }
    printf("touched %ld\n", (long)REQUESTS * EACH);
    fflush(stdout);
    // It serves on for half as long, so that what is resident is read once at least as it is at the end: each second.
    for (int request = 0; request < REQUESTS; request++) {
        leak_begin("/rest");
        usleep(15000);
        leak_end();
    }
    return 0;
}
