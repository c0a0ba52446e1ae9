// live at exit: 11 blocks, 1272 bytes (10 of 100 bytes; 272 of libc's for the joined threads' one cached stack)
#include <pthread.h>
#include <stdlib.h>

static void *work(void *argument) {
    free(malloc(500));
    (void)argument;
    return malloc(100);
}

int main(void) {
    for (int i = 0; i < 10; i++) {
        pthread_t thread;
        void *kept = NULL;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
        pthread_join(thread, &kept);
        if (kept == NULL)
            return 2;
    }
    return 0;
}
