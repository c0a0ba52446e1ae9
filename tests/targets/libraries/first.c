// A library whose constructor runs before that of any other, and allocates.
#include <stdlib.h>

static void *kept;

__attribute__((constructor)) static void begin(void) {
  for (int i = 0; i < 100; i++) free(malloc(i));
  kept = calloc(3, 100);
}

size_t first_kept(void) { return kept != NULL; }
