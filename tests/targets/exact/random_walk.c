// live at exit: 512 blocks, 262656 bytes (200,000 steps of malloc, calloc, realloc, free from a fixed seed)
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

static uint64_t state = 88172645463325252;

static uint64_t next(void) {
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

int main(void) {
    static char *slots[1024];
    for (int step = 0; step < 200000; step++) {
        char **slot = &slots[next() % 1024];
        size_t size = 1 + next() % 1000;
        switch (next() % 4) {
        case 0: free(*slot); *slot = malloc(size); break;
        case 1: free(*slot); *slot = calloc(1, size); break;
        case 2: *slot = realloc(*slot, size); break;
        case 3: free(*slot); *slot = NULL; break;
        }
        if (*slot)
            (*slot)[size - 1] = 1;
    }
    for (int i = 0; i < 1024; i += 2) {
        free(slots[i]);
        slots[i] = NULL;
    }
    for (int i = 1; i < 1024; i += 2)
        slots[i] = realloc(slots[i], 1 + i);
    return 0;
}
