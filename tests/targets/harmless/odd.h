// What the programs of odd calls share: places in memory, and a way to say what a call gives.
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGE 4096
// Bytes that are there in front of a page that is not.
#define EDGE 8
#define COUNT(array) (sizeof(array) / sizeof *(array))

static struct {
  const char *name;
  char *at;
} places[] = {{"null", NULL}, {"minus", (char *)-1L}, {"one", (char *)1L}, {"kernel", (char *)(1UL << 63)},
              {"good", NULL}, {"edge", NULL}, {"read-only", NULL}, {"none", NULL}};
enum { GOOD = 4, AT_EDGE, READ_ONLY, NONE, PLACES };

static sigjmp_buf back;

static void faults(int signal) {
  siglongjmp(back, signal);
}

static void prepare(void) {
  char *pages = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  places[GOOD].at = pages;
  places[AT_EDGE].at = pages + 2 * PAGE - EDGE;
  munmap(pages + 2 * PAGE, PAGE);
  places[READ_ONLY].at = memset(pages + 4 * PAGE, 0xff, PAGE);
  mprotect(pages + 4 * PAGE, PAGE, PROT_READ);
  places[NONE].at = pages + 6 * PAGE;
  mprotect(pages + 6 * PAGE, PAGE, PROT_NONE);
  struct sigaction act = {.sa_handler = faults, .sa_flags = SA_NODEFER};
  sigaction(SIGSEGV, &act, NULL);
  sigaction(SIGBUS, &act, NULL);
  signal(SIGPIPE, SIG_IGN);
  static char buffer[1 << 16];
  setvbuf(stdout, buffer, _IOFBF, sizeof buffer);
}

static void say(long result) {
  printf("%ld %s\n", result, result < 0 ? strerrorname_np(errno) : "");
}

// Says what `call` gives, or that it faults; `result` is its result, or -1.
#define TRY(call)                                                                                                      \
  do {                                                                                                                 \
    int signal_ = sigsetjmp(back, 1);                                                                                  \
    errno = 0, result = -1;                                                                                            \
    if (signal_ == 0)                                                                                                  \
      say(result = (long)(call));                                                                                      \
    else                                                                                                               \
      printf("signal %d\n", signal_);                                                                                  \
  } while (0)

static volatile long result;
