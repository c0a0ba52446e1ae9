// Requests that map: /kept keeps 1 MiB each (300 of them), /given maps and unmaps, /cut keeps a quarter of what it
// mapped, /moved makes 64 KiB into 256 KiB and keeps it, /file keeps 8 KiB of a file, /clean maps nothing.
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { MEBI = 1 << 20, REQUESTS = 300 };

static int file;

static char *map(size_t bytes) {
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        exit(1);
    memory[0] = 1;
    return memory;
}

static void kept(void) { map(MEBI); }

static void given(void) {
    char *memory = map(MEBI);
    if (munmap(memory, MEBI) != 0)
        exit(2);
}

static void cut(void) {
    char *memory = map(MEBI);
    // The head, the tail, and what is left is the middle.
    if (munmap(memory, MEBI / 2) != 0 || munmap(memory + MEBI / 4 * 3, MEBI / 4) != 0)
        exit(3);
}

static void moved(void) {
    char *memory = map(64 << 10);
    if (mremap(memory, 64 << 10, 256 << 10, MREMAP_MAYMOVE) == MAP_FAILED)
        exit(4);
}

static void mapped_file(void) {
    if (mmap(NULL, 8192, PROT_READ, MAP_SHARED, file, 0) == MAP_FAILED)
        exit(5);
}

static void clean(void) { free(malloc(100)); }

int main(void) {
    char name[] = "/tmp/leak-mapped-XXXXXX";
    file = mkstemp(name);
    if (file < 0 || unlink(name) != 0 || ftruncate(file, 8192) != 0)
        return 6;
    static const struct {
        const char *label;
        void (*serve)(void);
    } requests[] = {
        {"/kept", kept},   {"/given", given},      {"/cut", cut},
        {"/moved", moved}, {"/file", mapped_file}, {"/clean", clean},
    };
    for (int round = 0; round < REQUESTS; round++)
        for (int i = 0; i < 6; i++) {
            leak_begin(requests[i].label);
            requests[i].serve();
            leak_end();
        }
    return 0;
}
