// live at exit: 1 block, 300 bytes
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    volatile size_t half = SIZE_MAX / 2 + 1;

    if (calloc(half, 2) != NULL)
        return 1;
    if (calloc(half, 3) != NULL)
        return 2;
    if (malloc(half) != NULL) // refused: larger than PTRDIFF_MAX
        return 3;
    unsigned char *kept = calloc(3, 100);
    for (int i = 0; i < 300; i++)
        if (kept[i] != 0)
            return 4;
    return 0;
}
