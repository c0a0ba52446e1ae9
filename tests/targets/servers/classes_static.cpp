// flags: -std=c++20 -Wno-missing-field-initializers -Wno-unused-function -O2 -s -no-pie -static-libstdc++ -static-libgcc
#include "classes.h"
