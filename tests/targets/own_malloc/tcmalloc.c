// live at exit: 46 blocks, 1614636 bytes (ten of each of four threads, the loader's 304 for each, 24 in 2 are tcmalloc's)
// flags: -l:libtcmalloc_minimal.a -lstdc++ -lm
#include "family.h"
