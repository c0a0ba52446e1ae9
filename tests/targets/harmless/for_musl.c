// flags: -specs /usr/lib/x86_64-linux-musl/musl-gcc.specs
// A program that runs with musl's C library, which can't load libleak.so: with LD_PRELOAD it would not start.
#include <stdio.h>

int main(void)
{
    puts("musl");
    return 5;
}
