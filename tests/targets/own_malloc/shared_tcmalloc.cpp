// live at exit: 11 blocks, 76121 bytes (the plain one's, and 600 by the allocator's own name)
// flags: -std=c++17 -Wno-mismatched-new-delete -l:libtcmalloc_minimal.so.4
#include <cstddef>
extern "C" void *tc_malloc(size_t);
#define OWN(size) tc_malloc(size)
#include "shared.h"
