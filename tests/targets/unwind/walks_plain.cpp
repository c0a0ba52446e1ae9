// flags: -O0
#include "walks.h"
