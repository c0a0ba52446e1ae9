// A handler that allocates interrupts what records, errno stays, cancelled threads leave a read.
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>
#include <unistd.h>

// The C library's malloc must not be interrupted by itself; libleak may.
static volatile sig_atomic_t in_library;

static void handle(int signal) {
  int before = errno;
  (void)signal;
  free(NULL);
  if (!in_library) free(malloc(33));
  errno = before;
}

static void *wait_for_ever(void *pipe) {
  char byte;
  return read(*(int *)pipe, &byte, 1) < 0 ? NULL : pipe;
}

int main(void) {
  struct itimerval often = {{0, 1000}, {0, 1000}}, never = {{0, 0}, {0, 0}};
  long changed = 0, cancelled = 0;
  int ends[2];
  signal(SIGALRM, handle);
  setitimer(ITIMER_REAL, &often, NULL);
  for (int i = 0; i < 1000000; i++) {
    void *block;
    in_library = 1;
    errno = 77;
    block = malloc(i % 500);
    changed += errno != 77;
    free(block);
    changed += errno != 77;
    in_library = 0;
  }
  setitimer(ITIMER_REAL, &never, NULL);
  if (pipe(ends) != 0) return 1;
  for (int i = 0; i < 100; i++) {
    pthread_t thread;
    void *result;
    pthread_create(&thread, NULL, wait_for_ever, ends);
    pthread_cancel(thread);
    pthread_join(thread, &result);
    cancelled += result == PTHREAD_CANCELED;
  }
  printf("errno changed %ld times, %ld cancelled\n", changed, cancelled);
  return 0;
}
