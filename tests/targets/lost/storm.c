// Allocates and frees on THREADS threads, ROUNDS times each (0: until killed), and counts in the file
// COUNTS what has been done: word 0 the threads that have allocated, then for each thread a line of 8
// words: its allocations, its frees. What is counted there has happened, and at most one call more.
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

enum { LINE = 8, MOST = 64, BLOCKS = 64 };
static atomic_ulong *counts;
static unsigned long rounds;

static void *run(void *number) {
  atomic_ulong *own = counts + LINE * (1 + (size_t)number);
  void *blocks[BLOCKS] = {NULL};
  unsigned long random = 88172645463325252ull + (size_t)number;
  for (unsigned long round = 0; rounds == 0 || round < rounds; round++) {
    random ^= random << 13, random ^= random >> 7, random ^= random << 17;
    void **block = &blocks[random % BLOCKS];
    if (*block) {
      free(*block);
      atomic_fetch_add(own + 1, 1);
    }
    *block = malloc(random >> 8 & 1023);
    atomic_fetch_add(own, 1);
    if (round == 0) atomic_fetch_add(counts, 1);
  }
  for (int i = 0; i < BLOCKS; i++) {
    if (!blocks[i]) continue;
    free(blocks[i]);
    atomic_fetch_add(own + 1, 1);
  }
  return NULL;
}

int main(int argc, char **argv) {
  pthread_t threads[MOST];
  if (argc < 3) return 2;
  size_t count = strtoul(argv[1], NULL, 10);
  rounds = strtoul(argv[2], NULL, 10);
  int fd = open(getenv("COUNTS"), O_RDWR | O_CREAT, 0600);
  if (fd < 0 || ftruncate(fd, 8 * LINE * (MOST + 1)) != 0) return 2;
  counts = mmap(NULL, 8 * LINE * (MOST + 1), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (counts == MAP_FAILED || count > MOST) return 2;
  for (size_t i = 0; i < count; i++)
    if (pthread_create(&threads[i], NULL, run, (void *)i) != 0) return 2;
  for (size_t i = 0; i < count; i++) pthread_join(threads[i], NULL);
  if (write(1, "stormed\n", 8) != 8) return 1;
  return 5;
}
