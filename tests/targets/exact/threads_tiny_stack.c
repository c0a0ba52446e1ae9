// live at exit: 33 blocks, 3472 bytes (32 of 100 bytes from stacks of PTHREAD_STACK_MIN; 272 of libc's)
#define _GNU_SOURCE
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>

static void *work(void *argument) {
    free(realloc(malloc(10), 2000));
    (void)argument;
    return malloc(100);
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    if (pthread_attr_setstacksize(&attributes, (size_t)PTHREAD_STACK_MIN) != 0)
        return 1;
    for (int i = 0; i < 32; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, work, NULL) != 0)
            return 2;
        pthread_join(thread, NULL);
    }
    return 0;
}
