// live at exit: 4 blocks, 1 bytes (three blocks of size 0 are blocks)
#include <stdlib.h>

int main(void) {
    void *a = malloc(0), *b = calloc(0, 8), *c = calloc(8, 0), *d = malloc(1);
    free(malloc(0));
    return a && b && c && d && a != b ? 0 : 1;
}
