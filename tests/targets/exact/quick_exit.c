// live at exit: 2 blocks, 300 bytes (at_quick_exit handlers run, atexit handlers do not)
// ends: exit 3
// before exit: 1 block, 100 bytes
#include <stdlib.h>

static void never(void) {
    void *kept = malloc(5000);
    (void)kept;
}

static void quick(void) {
    void *kept = malloc(200);
    (void)kept;
}

int main(void) {
    void *kept = malloc(100);
    atexit(never);
    at_quick_exit(quick);
    quick_exit(kept ? 3 : 1);
}
