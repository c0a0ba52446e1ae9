// live at exit: 100 blocks, 4950 bytes (using all that malloc_usable_size allows changes nothing)
#include <malloc.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    for (size_t size = 0; size < 100; size++) {
        char *block = malloc(size);
        size_t usable = malloc_usable_size(block);
        if (usable < size)
            return 1;
        memset(block, 1, usable);
    }
    return malloc_usable_size(NULL) == 0 ? 0 : 2;
}
