// Ten requests of a label that is the first argument leave a block of 64 bytes each, allocated in `keep`.
#include <stdlib.h>

#include "../../../preload/include/leak.h"

void *volatile kept;

__attribute__((noinline)) void keep(void) { kept = malloc(64); }

int main(int argc, char **argv) {
  if (argc < 2) return 2;
  for (int i = 0; i < 10; i++) {
    leak_begin(argv[1]);
    keep();
    leak_end();
  }
  return 0;
}
