// live at exit: 2 blocks, 11811160065 bytes (5 GiB and 6 GiB + 1, asked for and never touched)
#include <stdlib.h>

int main(void) {
    size_t gib = 1UL << 30;
    char *a = malloc(5 * gib), *b = calloc(1, 6 * gib + 1), *gone = malloc(4 * gib);
    free(gone);
    return a && b ? 0 : 1;
}
