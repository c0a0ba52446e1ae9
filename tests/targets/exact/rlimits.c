// live at exit: 6 blocks, 892 bytes (no more files, no more file size, no core; 4 threads; 272 of libc's)
// valgrind: no, its log falls under the limits
#include <pthread.h>
#include <stdlib.h>
#include <sys/resource.h>

static void *work(void *argument) {
    for (int i = 0; i < 10000; i++)
        free(malloc(1 + (size_t)i % 100));
    (void)argument;
    return malloc(30);
}

int main(void) {
    void *before = malloc(500);
    struct rlimit none = {0, 0};
    setrlimit(RLIMIT_NOFILE, &none);
    setrlimit(RLIMIT_FSIZE, &none);
    setrlimit(RLIMIT_CORE, &none);
    setrlimit(RLIMIT_MEMLOCK, &none);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return before ? 0 : 2;
}
