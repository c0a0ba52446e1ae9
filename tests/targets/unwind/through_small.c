// flags: -shared -fPIC
#define FRAME 40
#include "through.h"
