// live at exit: 2 blocks, 64 bytes (realloc of NULL is malloc, also to 0)
#include <stdlib.h>

int main(void) {
    void *volatile nothing = NULL;
    void *kept = realloc(nothing, 64);
    void *empty = realloc(nothing, 0);
    free(realloc(nothing, 30));
    return kept && empty ? 0 : 1;
}
