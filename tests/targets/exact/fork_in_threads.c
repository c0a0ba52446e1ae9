// live at exit: 16 blocks, 2488 bytes (8 of 11 bytes from children forked by 4 threads; 4 of 328, 4 of 272 of libc's)
// processes: 9
// valgrind: first (what a child inherits depends on when it is forked)
#include <pthread.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static pthread_barrier_t barrier;

static void *work(void *argument) {
    void *mine = malloc(328);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();
        if (child == 0) {
            for (int j = 0; j < 100; j++)
                free(malloc(1 + (size_t)j));
            _exit(malloc(11) ? 0 : 1);
        }
        int status = 1;
        if (waitpid(child, &status, 0) != child || status != 0)
            abort();
    }
    pthread_barrier_wait(&barrier);
    pause();
    (void)argument;
    return mine;
}

int main(void) {
    pthread_barrier_init(&barrier, NULL, 5);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, work, NULL) != 0)
            return 1;
    }
    pthread_barrier_wait(&barrier);
    return 0;
}
