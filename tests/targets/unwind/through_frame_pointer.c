// flags: -shared -fPIC -fno-omit-frame-pointer
#define FRAME 900
#include "through.h"
