// Call chains of every kind that must be found again: recursion, alloca, variable frames, longjmp,
// C++ exceptions, signal handlers on their own stack, coroutines, threads.
// usage: walks ROUNDS
#include <alloca.h>
#include <csetjmp>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/time.h>
#include <ucontext.h>
#include <vector>

#define NOINLINE __attribute__((noinline))
static thread_local void *volatile sink;

NOINLINE static void leaf(int bytes) {
    void *block = malloc(bytes);
    sink = block;
    free(block);
}

NOINLINE static void other_leaf(int bytes) {
    void *block = calloc(bytes, 1);
    sink = block;
    free(block);
    asm volatile("");
}

// Two functions of the same frame layout: their frames lie at the same places.
NOINLINE static void twin_a(int depth, unsigned seed);
NOINLINE static void twin_b(int depth, unsigned seed);
static void next(int depth, unsigned seed) {
    seed = seed * 69069 + 1;
    if (depth == 0)
        (seed & 64 ? leaf : other_leaf)(seed % 100 + 1);
    else if (seed & 1024)
        twin_a(depth - 1, seed);
    else
        twin_b(depth - 1, seed);
}
NOINLINE static void twin_a(int depth, unsigned seed) { next(depth, seed); asm volatile(""); }
NOINLINE static void twin_b(int depth, unsigned seed) { next(depth, seed); asm volatile(""); }

static thread_local jmp_buf jump;

NOINLINE static void recursion(int depth, unsigned seed) {
    if (depth == 0)
        return leaf(seed % 100 + 1);
    if (seed % 7 == 0) {
        char *bytes = (char *)alloca(seed % 300 + 1);
        memset(bytes, 1, seed % 300 + 1);
        sink = bytes;
        leaf(8);
    }
    if (seed % 11 == 0) {
        // A frame that is realigned.
        struct alignas(64) { char bytes[64]; } aligned;
        sink = &aligned;
        other_leaf(3);
    }
    if (seed % 5 == 0)
        recursion(depth - 1, seed * 1103515245u + 12345u);
    recursion(depth - 1, seed * 69069u + 1u);
    if (seed % 1013 == 0)
        longjmp(jump, 1);
    asm volatile("");
}

struct Guard {
    std::string text;
    explicit Guard(int depth) : text(40 + depth, 'x') {}
    ~Guard() { leaf(text.size()); }
};

NOINLINE static int throwing(int depth) {
    Guard guard(depth);
    if (depth == 0)
        throw std::runtime_error("thrown by way of " + guard.text);
    return throwing(depth - 1) + 1;
}

NOINLINE static void exceptions(int depth) {
    try {
        throwing(depth);
    } catch (const std::exception &error) {
        std::vector<std::string> copies(3, error.what());
        sink = copies.data();
    }
}

static volatile sig_atomic_t handled;

// Allocates although it must not in a real program: here the interrupted code is in no allocator.
static void handler(int) {
    handled = handled + 1;
    next(5, handled);
    leaf(7);
}

NOINLINE static void signals(int depth) {
    if (depth > 0) {
        signals(depth - 1);
        asm volatile("");
        return;
    }
    raise(SIGUSR1);
    raise(SIGUSR2);
    leaf(9);
}

static ucontext_t scheduler, coroutines[3];

NOINLINE static void yields(int id, int depth) {
    if (depth > 0) {
        leaf(depth);
        yields(id, depth - 1);
        other_leaf(depth);
        asm volatile("");
        return;
    }
    leaf(3);
    swapcontext(&coroutines[id], &scheduler);
    leaf(4);
}

static void coroutine(int id) {
    for (int depth = 0;; depth = (depth + 3) % 9)
        yields(id, depth);
}

static void coroutines_run(int rounds) {
    const size_t bytes = 64 * 1024;
    for (int id = 0; id < 3; id++) {
        getcontext(&coroutines[id]);
        coroutines[id].uc_stack.ss_sp = malloc(bytes);
        coroutines[id].uc_stack.ss_size = bytes;
        coroutines[id].uc_link = &scheduler;
        makecontext(&coroutines[id], (void (*)())coroutine, 1, id);
    }
    for (int round = 0; round < rounds; round++) {
        swapcontext(&scheduler, &coroutines[round % 3]);
        leaf(5);
    }
    for (int id = 0; id < 3; id++)
        free(coroutines[id].uc_stack.ss_sp);
}

static void all(int rounds, unsigned seed) {
    for (volatile int round = 0; round < rounds; round++) {
        unsigned number = seed + round * 2654435761u;
        if (!setjmp(jump))
            recursion(round % 40, number);
        for (int turn = 0; turn < 20; turn++)
            next(round % 60, number + turn);
        exceptions(round % 20);
        if (round % 50 == 0)
            // Deeper than what is kept of a backtrace.
            for (int depth = 100; depth < 200; depth += 7)
                twin_a(depth, number);
    }
}

static void *thread(void *number) {
    all((int)(long)number, (unsigned)(long)number);
    return nullptr;
}

int main(int count, char **arguments) {
    int rounds = count > 1 ? atoi(arguments[1]) : 200;
    stack_t stack = {};
    stack.ss_sp = malloc(64 * 1024);
    stack.ss_size = 64 * 1024;
    sigaltstack(&stack, nullptr);
    struct sigaction action = {};
    action.sa_handler = handler;
    sigaction(SIGUSR2, &action, nullptr);
    action.sa_flags = SA_ONSTACK;
    sigaction(SIGUSR1, &action, nullptr);

    pthread_t threads[3];
    for (long index = 0; index < 3; index++)
        pthread_create(&threads[index], nullptr, thread, (void *)(rounds + index));
    all(rounds, 1);
    for (int round = 0; round < rounds; round++) {
        signals(round % 30);
        exceptions(3);
    }
    coroutines_run(rounds);
    for (pthread_t each : threads)
        pthread_join(each, nullptr);
    printf("%d handled\n", (int)handled);
}
