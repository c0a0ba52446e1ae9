// live at exit: 2 blocks, 5100 bytes
#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>

int main(void) {
    void *a = valloc(100), *b = valloc(5000);
    free(valloc(300));
    return a && b && (uintptr_t)a % 4096 == 0 ? 0 : 1;
}
