// live at exit: 6 blocks, 111111 bytes (constructor 1, main 10, atexit 100, on_exit 1000, destructor 10,000, its atexit 100,000)
#define _GNU_SOURCE
#include <stdlib.h>

static void *volatile kept[6];

static __attribute__((constructor)) void early(void) {
    kept[0] = malloc(1);
    free(malloc(5));
}

static void last(void) {
    kept[5] = malloc(100000);
}

static __attribute__((destructor)) void late(void) {
    kept[4] = malloc(10000);
    free(malloc(5));
    last();
}

static void handler(void) {
    kept[2] = malloc(100);
    free(malloc(5));
}

static void status_handler(int status, void *argument) {
    kept[3] = malloc(1000);
    (void)status;
    (void)argument;
}

int main(void) {
    kept[1] = malloc(10);
    atexit(handler);
    on_exit(status_handler, NULL);
    return 0;
}
