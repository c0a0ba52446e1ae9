// live at exit: 1 block, 64 bytes
// before exit: 3 blocks, 96 bytes (a handler that exits again begins nothing)
// ends: exit 2
#include <stdlib.h>

static void *first, *second;

static void again(void) {
    free(first);
    exit(2);
}

static void last(void) {
    free(second);
}

int main(void) {
    first = malloc(16);
    second = malloc(16);
    atexit(last);
    atexit(again);
    return malloc(64) ? 0 : 1;
}
