// The second of two builds of one server: builds.h
#define AFTER
#include "builds.h"
