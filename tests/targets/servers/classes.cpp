// flags: -std=c++20 -Wno-missing-field-initializers -Wno-unused-function
#include "classes.h"
