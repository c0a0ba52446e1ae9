// live at exit: 44 blocks, 1614484 bytes (ten of each of four threads, and the loader's 272 for each)
#include "family.h"
