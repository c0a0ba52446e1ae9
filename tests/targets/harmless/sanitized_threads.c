// flags: -fsanitize=thread
#include "sanitized.c"
