// live at exit: 20000 blocks, 320000 bytes (one at each level of a recursion 20,000 deep)
#include <stdlib.h>

static __attribute__((noinline)) int descend(int levels) {
    void *kept = malloc(16);
    free(malloc(24));
    int below = levels > 1 ? descend(levels - 1) : 0;
    return kept ? below + 1 : 0;
}

int main(void) {
    return descend(20000) == 20000 ? 0 : 1;
}
