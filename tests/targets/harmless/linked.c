// Linked with libleak.so itself, so that a loader without LD_PRELOAD brings it, too.
#include <stdlib.h>
#include <unistd.h>

int main(void) {
  void *volatile block = malloc(100);
  return block && write(1, "linked\n", 7) == 7 ? 0 : 1;
}
