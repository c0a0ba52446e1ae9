// live at exit: 100 blocks, 1200 bytes (siglongjmp out of frames that had allocated, from a handler too)
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>

static sigjmp_buf back;

static void handler(int number) {
    void *kept = malloc(12);
    (void)kept;
    siglongjmp(back, number);
}

static __attribute__((noinline)) void descend(int levels) {
    char room[64];
    room[0] = (char)levels;
    free(malloc(100 + (size_t)room[0]));
    if (levels == 0)
        raise(SIGUSR1);
    else
        descend(levels - 1);
    free(malloc((size_t)room[0]));
}

int main(void) {
    signal(SIGUSR1, handler);
    for (volatile int i = 0; i < 100; i++)
        if (sigsetjmp(back, 1) == 0)
            descend(i % 50);
    return 0;
}
