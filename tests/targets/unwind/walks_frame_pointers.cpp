// flags: -O2 -fno-omit-frame-pointer
#include "walks.h"
