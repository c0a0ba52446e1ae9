// live at exit: 2 blocks, 44 bytes (setenv's own copies: a string of 20, a node of 24)
#define _GNU_SOURCE
#include <stdlib.h>

int main(void) {
    for (int i = 0; i < 10; i++) {
        setenv("LEAK_TARGET_A", "value", 1);
        unsetenv("LEAK_TARGET_A");
    }
    clearenv();
    return 0;
}
