// Opens libraries in turn, each where the last one was, and calls back through them.
// usage: reload ROUNDS LIBRARY...
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef void *(*Callback)(int);
typedef void *(*Through)(int, Callback);

__attribute__((noinline)) static void *allocate(int bytes) {
    void *block = malloc((bytes & 1023) + 1);
    __asm__ volatile("");
    return block;
}

static void *others(void *turns) {
    for (int turn = 0; turn < (int)(long)turns; turn++)
        free(allocate(turn));
    return NULL;
}

int main(int count, char **arguments) {
    int rounds = atoi(arguments[1]), reused = 0;
    pthread_t thread;
    pthread_create(&thread, NULL, others, (void *)(rounds * 100L));
    Through last = NULL;
    for (int round = 0; round < rounds; round++) {
        void *library = dlopen(arguments[2 + round % (count - 2)], RTLD_NOW);
        if (library == NULL) {
            fprintf(stderr, "%s\n", dlerror());
            return 1;
        }
        Through through = (Through)dlsym(library, "through");
        reused += through == last;
        last = through;
        for (int turn = 0; turn < 20; turn++)
            free(through(turn, allocate));
        dlclose(library);
    }
    pthread_join(thread, NULL);
    printf("%d reused\n", reused);
    return 0;
}
