// flags: -O2
#include "walks.h"
