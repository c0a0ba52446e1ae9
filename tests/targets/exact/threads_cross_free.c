// live at exit: 1000 blocks, 50000 bytes (blocks of one thread, freed by another; every hundredth is kept)
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>

enum { ROOM = 64, BLOCKS = 100000 };
static void *ring[ROOM];
static int filled, taken;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;

static void *produce(void *unused) {
    for (int i = 0; i < BLOCKS; i++) {
        void *block = malloc(50);
        pthread_mutex_lock(&lock);
        while (filled - taken == ROOM)
            pthread_cond_wait(&changed, &lock);
        ring[filled++ % ROOM] = block;
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
    }
    return unused;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 65536);
    pthread_t producer;
    if (pthread_create(&producer, &attributes, produce, NULL) != 0)
        return 1;
    for (int i = 0; i < BLOCKS; i++) {
        pthread_mutex_lock(&lock);
        while (filled == taken)
            pthread_cond_wait(&changed, &lock);
        void *block = ring[taken++ % ROOM];
        pthread_cond_signal(&changed);
        pthread_mutex_unlock(&lock);
        if (i % 100 != 0)
            free(block);
    }
    pthread_join(producer, NULL);
    return 0;
}
