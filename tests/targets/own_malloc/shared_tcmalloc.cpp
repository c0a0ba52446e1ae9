// live at exit: 13 blocks, 76145 bytes (the plain one's, 600 by its own name, 2 blocks of 24 are its own)
// flags: -std=c++17 -Wno-mismatched-new-delete -l:libtcmalloc_minimal.so.4
#include <cstddef>
extern "C" void *tc_malloc(size_t);
#define OWN(size) tc_malloc(size)
#include "shared.h"
