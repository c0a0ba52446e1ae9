// Odd mappings: at the end 5 of memory with 3,203,072 bytes. What fails has not happened.
#define _GNU_SOURCE
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PAGE = 4096, MEBI = 1 << 20 };

static char *map(void *at, size_t bytes, int access, int flags) {
  char *memory =
      mmap(at, bytes, access, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
  if (memory == MAP_FAILED) exit(1);
  return memory;
}

int main(void) {
  const int both = PROT_READ | PROT_WRITE;
  // 1: 1 MiB, of which a mapping over it takes 64 KiB (2), and 4 KiB of that is
  // taken away.
  char *memory = map(NULL, MEBI, both, 0);
  map(memory + 4 * PAGE, 64 << 10, both, MAP_FIXED);
  if (munmap(memory + 5 * PAGE, PAGE) != 0) return 2;
  // 3: of 16 MiB that are reserved, 1 MiB becomes memory, twice.
  char *reserved = map(NULL, 16 * MEBI, PROT_NONE, 0);
  if (mprotect(reserved + MEBI, MEBI, both) != 0) return 3;
  if (mprotect(reserved + MEBI, MEBI, PROT_READ) != 0) return 4;
  // 4: 1 MiB that stays through calls that fail.
  char *stays = map(NULL, MEBI, both, 0);
  if (munmap(stays + 1, PAGE) == 0 || munmap(stays, 0) == 0) return 5;
  if (mremap(stays, MEBI, 1UL << 60, MREMAP_MAYMOVE) != MAP_FAILED) return 6;
  if (madvise(stays, MEBI / 2, MADV_DONTNEED) != 0) return 7;
  // None: it is all given back, in two calls.
  char *gone = map(NULL, MEBI, both, 0);
  if (munmap(gone, MEBI / 2) != 0 || munmap(gone + MEBI / 2, MEBI / 2) != 0)
    return 8;
  // None: the data segment grows and shrinks. 5: it grows by 61,440.
  if (sbrk(100000) == (void *)-1 || sbrk(-100000) == (void *)-1) return 9;
  if (sbrk(61440) == (void *)-1) return 10;
  // A child has none of its own, and takes none of its parent's away.
  pid_t child = fork();
  if (child == 0) _exit(munmap(memory, MEBI) != 0 || munmap(stays, MEBI) != 0);
  int status;
  if (waitpid(child, &status, 0) != child || status != 0) return 11;
  free(malloc(1));
  return 0;
}
