// live at exit: 2 blocks, 107 bytes (what main keeps, and one that a handler makes)
// before exit: 101 blocks, 5055 bytes
#include <stdlib.h>

static void *list[100];

static void *made;

// The handler that is asked for last runs first: all of it comes after main.
static void frees(void) {
    for (int i = 0; i < 100; i++)
        free(list[i]);
}

static void makes(void) {
    made = malloc(102);
    made = realloc(made, 102);
}

int main(void) {
    for (int i = 1; i < 100; i++)
        list[i] = malloc(i);
    list[0] = malloc(100);
    atexit(frees);
    atexit(makes);
    free(malloc(1000));
    return malloc(5) ? 0 : 1;
}
