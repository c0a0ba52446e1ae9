// live at exit: 2 blocks, 30 bytes (the program closes every descriptor above 2, as daemons do, and then 0 to 2)
#define _GNU_SOURCE
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    void *before = malloc(10);
    closefrom(3);
    for (int i = 0; i < 10000; i++)
        free(malloc(100));
    for (int i = 0; i < 3; i++)
        close(i);
    void *after = malloc(20);
    return before && after ? 0 : 1;
}
