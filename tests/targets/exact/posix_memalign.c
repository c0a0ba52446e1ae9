// live at exit: 10 blocks, 1010 bytes
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    for (size_t alignment = 8; alignment <= 4096; alignment *= 2) {
        void *block = NULL, *gone = NULL;
        if (posix_memalign(&block, alignment, 101) != 0 || (uintptr_t)block % alignment != 0)
            return 1;
        if (posix_memalign(&gone, alignment, 333) != 0)
            return 2;
        free(gone);
    }
    void *untouched = (void *)1;
    errno = 5;
    if (posix_memalign(&untouched, 3, 10) != EINVAL || untouched != (void *)1)
        return 3;
    if (posix_memalign(&untouched, 16, SIZE_MAX / 2 + 1) != ENOMEM || untouched != (void *)1)
        return 4;
    return 0;
}
