// COUNT times: maps 64 KiB, touches a byte of it, and unmaps it, a request each hundred.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>

#include "../../../preload/include/leak.h"

enum { BYTES = 64 << 10 };

int main(int argc, char **argv) {
    long count = argc > 1 ? atol(argv[1]) : 1000;
    for (long i = 0; i < count; i++) {
        if (i % 100 == 0)
            leak_begin("/maps");
        char *memory = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (memory == MAP_FAILED)
            return 1;
        memory[0] = 1;
        if (munmap(memory, BYTES) != 0)
            return 2;
        if (i % 100 == 99)
            leak_end();
    }
    return 0;
}
