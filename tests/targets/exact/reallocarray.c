// live at exit: 2 blocks, 1100 bytes
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    void *volatile nothing = NULL;
    volatile size_t half = SIZE_MAX / 2 + 1;
    int *kept = reallocarray(nothing, 5, sizeof(int));
    kept = reallocarray(kept, 25, sizeof(int));
    errno = 0;
    if (reallocarray(kept, half, 2) != NULL || errno != ENOMEM)
        return 1;
    void *other = reallocarray(nothing, 10, 100);
    return kept && other ? 0 : 2;
}
