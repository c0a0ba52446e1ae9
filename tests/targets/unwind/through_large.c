// flags: -shared -fPIC
#define FRAME 400
#include "through.h"
