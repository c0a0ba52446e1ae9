// live at exit: 100 blocks, 1200 bytes (10 coroutines in turns; their stacks are freed while libleak remembers them)
#include <stdlib.h>
#include <ucontext.h>

enum { COROUTINES = 10, TURNS = 10, STACK = 32768 };
static ucontext_t loop, coroutines[COROUTINES];

static void body(int number) {
    for (int turn = 0; turn < TURNS; turn++) {
        void *kept = malloc(12);
        free(malloc(100 + (size_t)turn));
        if (kept == NULL)
            abort();
        swapcontext(&coroutines[number], &loop);
    }
}

int main(void) {
    char *stacks[COROUTINES];
    for (int i = 0; i < COROUTINES; i++) {
        getcontext(&coroutines[i]);
        stacks[i] = malloc(STACK);
        coroutines[i].uc_stack.ss_sp = stacks[i];
        coroutines[i].uc_stack.ss_size = STACK;
        coroutines[i].uc_link = &loop;
        makecontext(&coroutines[i], (void (*)(void))body, 1, i);
    }
    for (int turn = 0; turn < TURNS; turn++)
        for (int i = 0; i < COROUTINES; i++)
            swapcontext(&loop, &coroutines[i]);
    for (int i = 0; i < COROUTINES; i++)
        free(stacks[i]);
    return 0;
}
