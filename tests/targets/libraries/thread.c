// Starts a thread before any other library begins.
#include <pthread.h>

static void *nothing(void *unused) { return unused; }

__attribute__((constructor)) static void begin(void) {
    pthread_t thread;
    if (pthread_create(&thread, 0, nothing, 0) == 0)
        pthread_join(thread, 0);
}
