// live at exit: 5 blocks, 624 bytes (one, many, line, lines, quiet)
// flags: -std=c++17 -l:libjemalloc.a -lm
#include "operators.h"
