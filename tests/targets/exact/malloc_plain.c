// live at exit: 3 blocks, 1234 bytes
#include <stdlib.h>

int main(void) {
    void *kept[3] = {malloc(1000), malloc(200), malloc(34)};
    free(malloc(77));
    return kept[0] && kept[1] && kept[2] ? 0 : 1;
}
