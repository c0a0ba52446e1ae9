// Serves marked requests that keep 256 KiB each, one each 2 ms or so many microseconds as the second argument
// says, until it is killed, or as many as the first one says.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

static void *volatile last;

static void keeps(void) {
  char *kept = malloc(256 << 10);
  if (kept == NULL) exit(3);
  memset(kept, 1, 256 << 10);
  last = kept;
}

int main(int argc, char **argv) {
  int requests = argc > 1 ? atoi(argv[1]) : 1 << 30;
  useconds_t pause = argc > 2 ? atoi(argv[2]) : 2000;
  for (int i = 0; i < requests; i++) {
    leak_begin("/keeps");
    keeps();
    leak_end();
    usleep(pause);
  }
  return 0;
}
