// live at exit: 4 blocks, 1139 bytes (odd sizes; one of them grown by realloc)
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    void *a = memalign(32, 1), *b = memalign(1024, 37), *c = memalign(16, 1001);
    void *d = realloc(memalign(128, 7), 100);
    free(memalign(2048, 55));
    return a && b && c && d && (uintptr_t)b % 1024 == 0 ? 0 : 1;
}
