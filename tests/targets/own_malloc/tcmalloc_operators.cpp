// live at exit: 7 blocks, 648 bytes (the same; 2 blocks of 24 are tcmalloc's)
// flags: -std=c++17 -l:libtcmalloc_minimal.a -lm
#include "operators.h"
