// flags: -fsanitize=leak,undefined
// Sanitizers that live with libleak: the one takes libleak's calls, the other none.
#include "sanitized.c"
