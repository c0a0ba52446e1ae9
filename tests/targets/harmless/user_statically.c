// flags: -static
// As user.c, but no library can be preloaded into it.
#include "user.c"
