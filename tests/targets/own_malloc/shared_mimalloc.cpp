// live at exit: 11 blocks, 76121 bytes (the plain one's, and 600 by the allocator's own name)
// flags: -std=c++17 -Wno-mismatched-new-delete -l:libmimalloc.so.2.0
#include <cstddef>
extern "C" void *mi_malloc(size_t);
#define OWN(size) mi_malloc(size)
#include "shared.h"
