// A library that keeps 111 bytes when it is loaded and 111 for each call of keep().
#include <stdlib.h>

void *keep(void) {
    free(malloc(1000));
    return malloc(111);
}

static __attribute__((constructor)) void loaded(void) {
    void *kept = keep();
    (void)kept;
}

static __attribute__((destructor)) void unloaded(void) {
    free(malloc(50));
}
