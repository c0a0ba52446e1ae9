// Handlers that interrupt threads at any instruction, other handlers too, allocate there, and, with the
// argument `jump`, jump out to where the thread began, as often as not. Only with an allocator that allows it
// (libraries/bump.c). Says in the file COUNTS how many blocks handlers have kept, and how many jumps there were.
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum { THREADS = 4, SIGNALS = 8000, LAST = 1000 };
static atomic_long kept, jumps;
static int jumping;
static _Atomic(void *) handed[64];
static __thread sigjmp_buf begin;
static __thread volatile int depth, may_jump, handled;
static __thread volatile unsigned random_state;
static __thread timer_t timer;
static const struct itimerspec often = {{0, 30000}, {0, 30000}}, never;

static unsigned next(void) { return random_state = random_state * 1103515245 + 12345; }

__attribute__((noinline)) static void keep_in_a_handler(void) {
  void *volatile block = malloc(99);
  if (block) atomic_fetch_add(&kept, 1);
}

static void handle(int signal) {
  unsigned random = next() >> 16;
  // Not for longer: a busy machine may have time for nothing else.
  if (++handled >= SIGNALS) timer_settime(timer, 0, &never, NULL);
  if (depth++ < 3) {
    keep_in_a_handler();
    free(malloc(random % 300));
    if (random % 8 == 0) raise(signal);
    free(malloc(random % 200));
  }
  depth--;
  if (random / 8 % 2 && may_jump) {
    atomic_fetch_add(&jumps, 1);
    siglongjmp(begin, 1);
  }
}

__attribute__((noinline)) static void keep_at_the_end(void) {
  for (int i = 0; i < LAST; i++) {
    void *volatile block = malloc(77);
    (void)block;
  }
}

__attribute__((noinline)) static void swap(void) {
  unsigned random = next() >> 16;
  // From hand to hand, so that most regions are shared.
  free(atomic_exchange(&handed[random % 64], malloc(random % 500)));
  free(realloc(malloc(random % 100), random % 1000));
}

static void *run(void *number) {
  struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
  random_state = (size_t)number;
  event._sigev_un._tid = syscall(SYS_gettid);
  if (timer_create(CLOCK_MONOTONIC, &event, &timer) != 0 || timer_settime(timer, 0, &often, NULL) != 0) abort();
  sigsetjmp(begin, 1);
  depth = 0;
  may_jump = jumping;
  while (handled < SIGNALS) swap();
  may_jump = 0;
  timer_delete(timer);
  keep_at_the_end();
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[THREADS];
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_NODEFER};
  jumping = argc > 1 && strcmp(argv[1], "jump") == 0;
  sigaction(SIGUSR1, &action, NULL);
  for (size_t i = 0; i < THREADS; i++) pthread_create(&threads[i], NULL, run, (void *)(i + 1));
  for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
  for (int i = 0; i < 64; i++) free(handed[i]);
  dprintf(open(getenv("COUNTS"), O_WRONLY | O_CREAT, 0600), "%ld %ld\n", kept, jumps);
  return write(1, "done\n", 5) == 5 ? 4 : 1;
}
