// live at exit: 1001 blocks, 7272 bytes (every tenth of 10,000 short threads keeps 7 bytes; 272 of libc's for a cached stack)
#include <pthread.h>
#include <stdlib.h>

static void *work(void *argument) {
    void *block = malloc(7);
    if ((size_t)argument % 10 != 0)
        free(block);
    return NULL;
}

int main(void) {
    for (size_t i = 0; i < 10000; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, (void *)i) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
