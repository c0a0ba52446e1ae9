// live at exit: 44 blocks, 1614548 bytes (ten of each of four threads, and the loader's 288 for each)
// flags: -Wl,--exclude-libs,ALL -l:libjemalloc.a -lstdc++ -lm
#include "family.h"
