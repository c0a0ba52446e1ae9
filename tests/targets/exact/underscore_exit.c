// live at exit: 1 block, 100 bytes
// ends: exit 42
// before exit: 1 block, 100 bytes
#include <stdlib.h>
#include <unistd.h>

static void never(void) {
    void *kept = malloc(5000);
    (void)kept;
}

int main(void) {
    void *kept = malloc(100);
    atexit(never);
    _exit(kept ? 42 : 1);
}
