// COUNT times, over 100 requests to /strew, a block of 88 bytes that is kept and one of BIG bytes that lives until the
// one request to /end frees all of those. With "trim" it gives back what it can then. Prints what it knows itself, at
// the end: live bytes, blocks and free bytes of pages that the kept ones alone fill less than a quarter of (counted page
// by page), what malloc says it holds free and in all, and what is resident.
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { SMALL = 88, REQUESTS = 100, PAGE = 4096 };

static char **kept, **big;
static long count, size, made;

static void *filled(size_t bytes) {
    void *block = malloc(bytes);
    if (block == NULL)
        exit(1);
    memset(block, 1, bytes);
    return block;
}

__attribute__((noinline)) static char *keep(void) { return filled(SMALL); }

static void strew(void) {
    for (long i = 0; i < count / REQUESTS; i++, made++) {
        kept[made] = keep();
        big[made] = filled(size);
    }
}

// Shell's sort: qsort would ask malloc for as much again, and what is resident may be read at any moment.
static void sort_by_address(void) {
    for (long gap = made / 2; gap > 0; gap /= 2)
        for (long i = gap; i < made; i++) {
            char *block = kept[i];
            long at = i;
            for (; at >= gap && (uintptr_t)kept[at - gap] > (uintptr_t)block; at -= gap)
                kept[at] = kept[at - gap];
            kept[at] = block;
        }
}

// Goes through all pages that the kept blocks lie on, in order.
static long pinned(void) {
    sort_by_address();
    long free_bytes = 0, live = 0;
    uintptr_t page = 0;
    for (long i = 0; i <= made; i++) {
        uintptr_t from = i < made ? (uintptr_t)kept[i] : (uintptr_t)1 << 50;
        for (uintptr_t at = from; at < from + SMALL;) {
            uintptr_t of = at / PAGE, end = (of + 1) * PAGE < from + SMALL ? (of + 1) * PAGE : from + SMALL;
            if (of != page) {
                if (live > 0 && live < PAGE / 4)
                    free_bytes += PAGE - live;
                page = of;
                live = 0;
            }
            live += end - at;
            at = end;
        }
    }
    return free_bytes;
}

static long resident(void) {
    FILE *file = fopen("/proc/self/statm", "r");
    long pages = 0, resident = 0;
    if (file == NULL || fscanf(file, "%ld %ld", &pages, &resident) != 2)
        exit(2);
    fclose(file);
    return resident * PAGE;
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 3;
    count = atol(argv[1]);
    size = atol(argv[2]);
    kept = filled(count * sizeof *kept);
    big = filled(count * sizeof *big);
    for (int request = 0; request < REQUESTS; request++) {
        leak_begin("/strew");
        strew();
        leak_end();
    }
    leak_begin("/end");
    for (long i = 0; i < made; i++)
        free(big[i]);
    if (argc > 3 && strcmp(argv[3], "trim") == 0)
        malloc_trim(0);
    leak_end();
    long pins = pinned(), now = resident();
    struct mallinfo2 info = mallinfo2();
    printf("kept %ld live %ld pinned %ld free %zu held %zu resident %ld\n", made,
           made * SMALL + 2 * count * (long)sizeof *kept, pins, info.fordblks, info.arena + info.hblkhd, now);
    return 0;
}
