// Writes random bytes all over the memory that it shares with libleak's recorder, again and again, while
// it allocates. The first argument seeds them, the second is how many bytes each time.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static unsigned long random_state;

static unsigned long next(void) {
  random_state ^= random_state << 13, random_state ^= random_state >> 7, random_state ^= random_state << 17;
  return random_state;
}

int main(int argc, char **argv) {
  if (argc < 3) return 2;
  random_state = 88172645463325252ul + strtoul(argv[1], NULL, 10);
  unsigned long bytes = strtoul(argv[2], NULL, 10), start = 0, end = 0;
  char line[512];
  FILE *maps = fopen("/proc/self/maps", "r");
  while (maps && fgets(line, sizeof line, maps))
    if (strstr(line, "memfd:") && strstr(line, "rw-s")) sscanf(line, "%lx-%lx", &start, &end);
  if (maps) fclose(maps);
  for (int round = 0; round < 2000; round++) {
    void *block = malloc(next() % 1000);
    // Mostly at the head, where what all depends on lies.
    unsigned long size = next() % 4 ? 64 << 10 : end - start;
    for (unsigned long i = 0; start && i < bytes; i++)
      ((volatile unsigned char *)start)[next() % size] = next() % 3 ? next() : 0xff * (next() % 2);
    if (round % 3) free(block);
    if (round % 500 == 499) usleep(20000);
  }
  _exit(6);
}
