// Steps that each keep a block, and now and then 10 MiB more for a moment: what is live is a slope with thin peaks. Beside
// them it maps 1 MiB, and has a thread whose stack is 8 MiB of addresses.
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "../../../preload/include/leak.h"

static void *volatile kept;

static void *wait_for_ever(void *unused) {
  for (;;)
    nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
  return unused;
}

static void rest(void) { nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL); }

static __attribute__((noinline)) void peak(void) {
  char *volatile large = malloc(10 << 20);
  large[0] = 1;
  rest();
  rest();
  free(large);
}

int main(void) {
  pthread_t thread;
  pthread_create(&thread, NULL, wait_for_ever, NULL);
  void *mapped = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  memset(mapped, 1, 1 << 20);
  for (int step = 0; step < 300; step++) {
    leak_begin("/step");
    kept = malloc(10000);
    leak_end();
    if (step % 11 == 7)
      peak();
    rest();
  }
  return 0;
}
