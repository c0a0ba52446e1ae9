// Serves REQUESTS marked requests, which free all that they allocate, and counts in the file COUNTS: word 0
// is 1 once it has begun, 2 (from outside) lets it go on; word 1 its allocations, word 2 its frees.
#include <fcntl.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

static atomic_ulong *counts;

static void serve(void) {
  void *blocks[10];
  leak_begin("clean");
  for (int i = 0; i < 10; i++) {
    blocks[i] = malloc(100);
    atomic_fetch_add(counts + 1, 1);
  }
  for (int i = 0; i < 10; i++) {
    free(blocks[i]);
    atomic_fetch_add(counts + 2, 1);
  }
  leak_end();
}

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  int fd = open(getenv("COUNTS"), O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 4096) != 0) return 2;
  counts = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED) return 2;
  serve();
  atomic_store(counts, 1);
  while (atomic_load(counts) != 2) sched_yield();
  for (unsigned long i = strtoul(argv[1], NULL, 10); i > 0; i--) serve();
  return 0;
}
