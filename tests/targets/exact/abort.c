// live at exit: 2 blocks, 1500 bytes
// ends: signal 6
// before exit: none
#include <stdlib.h>

int main(void) {
    void *a = malloc(1000), *b = malloc(500);
    free(malloc(250));
    if (a && b)
        abort();
    return 1;
}
