// flags: -fsanitize=address
// A program that replaces malloc itself: it runs on, untraced.
#include <stdio.h>
#include <stdlib.h>

int main(void) {
  char *text = malloc(10);
  snprintf(text, 10, "sane");
  puts(text);
  free(text);
  return 3;
}
