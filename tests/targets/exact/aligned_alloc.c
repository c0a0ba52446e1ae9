// live at exit: 3 blocks, 4331 bytes
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    void *a = aligned_alloc(64, 128), *b = aligned_alloc(4096, 4096);
    void *odd = aligned_alloc(64, 107); // no multiple of the alignment: glibc takes it
    free(aligned_alloc(256, 512));
    volatile size_t too_much = SIZE_MAX;
    if (aligned_alloc(64, too_much) != NULL)
        return 1;
    return a && b && odd && (uintptr_t)a % 64 == 0 && (uintptr_t)odd % 64 == 0 ? 0 : 2;
}
