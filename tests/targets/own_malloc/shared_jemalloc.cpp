// live at exit: 11 blocks, 76121 bytes (the plain one's, and 600 by the allocator's own name)
// flags: -std=c++17 -Wno-mismatched-new-delete -l:libjemalloc.so.2
#include <cstddef>
extern "C" void *mallocx(size_t, int);
#define OWN(size) mallocx(size, 0)
#include "shared.h"
