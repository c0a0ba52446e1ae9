// flags: -static
// A program that no library can be preloaded into.
#include <stdio.h>

int main(void) {
  puts("statically");
  return 4;
}
