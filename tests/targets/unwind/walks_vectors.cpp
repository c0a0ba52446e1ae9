// flags: -O3 -mavx2
#include "walks.h"
