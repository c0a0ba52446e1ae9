// flags: -fno-toplevel-reorder
// The other one, whose SSL_read() gives 2 and lies elsewhere.
#define ANSWER 2
#define BETWEEN
#include "ssl_one.c"
