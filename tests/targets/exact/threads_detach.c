// live at exit: 8 blocks, 480 bytes (detached threads on stacks of their own, for which libc keeps nothing)
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

// Whether a detached thread has quite gone is only to be seen in /proc.
#include <dirent.h>

static sem_t done;

static void *work(void *argument) {
    void *kept = malloc(60);
    free(malloc((size_t)argument));
    sem_post(&done);
    return kept;
}

static int threads(void) {
    int count = 0;
    DIR *tasks = opendir("/proc/self/task");
    for (struct dirent *entry; (entry = readdir(tasks)) != NULL;)
        count += entry->d_name[0] != '.';
    closedir(tasks);
    return count;
}

int main(void) {
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    sem_init(&done, 0, 0);
    for (size_t i = 0; i < 8; i++) {
        void *stack = mmap(NULL, 65536, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        pthread_attr_setstack(&attributes, stack, 65536);
        pthread_t thread;
        if (pthread_create(&thread, &attributes, work, (void *)i) != 0)
            return 1;
        sem_wait(&done);
        while (threads() > 1)
            usleep(100);
    }
    pthread_attr_destroy(&attributes);
    return 0;
}
