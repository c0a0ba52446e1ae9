// live at exit: 8 blocks, 73352 bytes (the same; 72,704 is libstdc++'s)
// flags: -std=c++17 -static-libstdc++ -l:libtcmalloc_minimal.a -lm
#include "operators.h"
