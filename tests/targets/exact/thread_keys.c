// live at exit: 4 blocks, 120 bytes (kept by destructors of thread-specific values, which run late in a thread's end)
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

static pthread_key_t key;

static void destroy(void *value) {
    free(value);
    free(malloc(64));
    void *kept = malloc(30);
    (void)kept;
}

static void *work(void *argument) {
    pthread_setspecific(key, malloc(200));
    return argument;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
    pthread_key_create(&key, destroy);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        if (pthread_create(&thread, &attributes, work, NULL) != 0)
            return 1;
        pthread_join(thread, NULL);
    }
    return 0;
}
