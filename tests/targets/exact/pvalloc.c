// live at exit: 2 blocks, 5100 bytes (as asked, not as rounded up to pages)
// valgrind: no, it does not see pvalloc
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    void *a = pvalloc(100), *b = pvalloc(5000);
    free(pvalloc(300));
    return a && b && (uintptr_t)a % 4096 == 0 ? 0 : 1;
}
