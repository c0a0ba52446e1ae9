// live at exit: 1 block, 123 bytes
// ends: signal 11
#include <stdlib.h>

int main(void) {
    void *kept = malloc(123);
    free(malloc(5));
    volatile int *volatile nowhere = NULL;
    *nowhere = kept != NULL;
    return 1;
}
