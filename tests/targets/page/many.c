// 1,000 labels, "/many/0" to "/many/999", five requests each, leave one block of 32 bytes at each of five call sites;
// no other label does at them: 5,000 call sites, 25,000 blocks, 800,000 bytes.
#include <stdio.h>
#include <stdlib.h>

#include "../../../preload/include/leak.h"

static void *volatile kept;

#define ONE(n) static __attribute__((noinline)) void site##n(void) { kept = malloc(32); }
#define TEN(n) \
  ONE(n##0) ONE(n##1) ONE(n##2) ONE(n##3) ONE(n##4) ONE(n##5) ONE(n##6) ONE(n##7) ONE(n##8) ONE(n##9)
#define HUNDRED(n) \
  TEN(n##0) TEN(n##1) TEN(n##2) TEN(n##3) TEN(n##4) TEN(n##5) TEN(n##6) TEN(n##7) TEN(n##8) TEN(n##9)
#define THOUSAND(n) \
  HUNDRED(n##0) HUNDRED(n##1) HUNDRED(n##2) HUNDRED(n##3) HUNDRED(n##4) \
  HUNDRED(n##5) HUNDRED(n##6) HUNDRED(n##7) HUNDRED(n##8) HUNDRED(n##9)
THOUSAND(1) THOUSAND(2) THOUSAND(3) THOUSAND(4) THOUSAND(5)
#undef ONE

#define ONE(n) site##n,
static void (*const sites[])(void) = {THOUSAND(1) THOUSAND(2) THOUSAND(3) THOUSAND(4) THOUSAND(5)};

int main(void) {
  char label[32];
  for (int round = 0; round < 5; round++)
    for (int i = 0; i < 1000; i++) {
      snprintf(label, sizeof label, "/many/%d", i);
      leak_begin(label);
      for (int site = 0; site < 5; site++)
        sites[i * 5 + site]();
      leak_end();
    }
  return 0;
}
