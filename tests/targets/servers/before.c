// The first of two builds of one server: builds.h
#include "builds.h"
