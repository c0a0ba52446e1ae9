// live at exit: 1 block, 9 bytes (glibc's realloc to 0 frees)
#include <stdlib.h>

int main(void) {
    volatile size_t zero = 0;
    for (int i = 0; i < 100; i++) {
        void *gone = malloc(1000);
        if (realloc(gone, zero) != NULL)
            return 1;
    }
    return malloc(9) ? 0 : 2;
}
