// live at exit: 10 blocks, 75521 bytes (eight, 2513 bytes; 72,704 are libstdc++'s, 304 the loader's)
// flags: -std=c++17 -Wno-mismatched-new-delete
#include "shared.h"
