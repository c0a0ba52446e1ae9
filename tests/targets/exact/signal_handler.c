// live at exit: 301 blocks, 7210 bytes (300 of 24 bytes from handlers that run in the midst of malloc and free, 1 of 10)
#include <signal.h>
#include <stdlib.h>
#include <sys/time.h>

// A handler that allocates is legal only where it can't interrupt malloc; glibc's arena lock would
// deadlock. So the main program works in one arena and the signals are taken by another thread.
#include <pthread.h>
#include <semaphore.h>
#include <sys/mman.h>

static sem_t handled;
static volatile int stop;

static void handler(int number) {
    void *kept = malloc(24);
    free(malloc((size_t)number));
    (void)kept;
    sem_post(&handled);
}

static void *taker(void *argument) {
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    while (!stop)
        ;
    return argument;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstack(&attributes, mmap(NULL, 1 << 17, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 1 << 17);
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGUSR1, handler);
    sem_init(&handled, 0, 0);
    pthread_t thread;
    if (pthread_create(&thread, &attributes, taker, NULL) != 0)
        return 1;
    for (int i = 0; i < 300; i++) {
        pthread_kill(thread, SIGUSR1);
        for (int j = 0; j < 10; j++)
            free(malloc(100));
        while (sem_wait(&handled) != 0)
            ;
    }
    stop = 1;
    pthread_join(thread, NULL);
    return malloc(10) ? 0 : 2;
}
