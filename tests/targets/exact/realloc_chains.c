// live at exit: 3 blocks, 1048776 bytes (one grown, one shrunk, one grown by mremap)
#include <stdlib.h>
#include <string.h>

int main(void) {
    char *grown = malloc(1);
    for (size_t size = 2; size <= 100; size++) {
        grown = realloc(grown, size);
        grown[size - 1] = (char)size;
        free(malloc(size * 3)); // so that some of them must move
    }
    char *shrunk = malloc(5000);
    memset(shrunk, 1, 5000);
    for (size_t size = 4999; size >= 100; size -= 71)
        shrunk = realloc(shrunk, size);
    char *mapped = malloc(300 << 10); // above the mmap threshold
    mapped = realloc(mapped, 600 << 10);
    mapped = realloc(mapped, 1 << 20);
    shrunk = realloc(shrunk, 100);
    return grown[99] == 100 && shrunk[99] == 1 && mapped ? 0 : 1;
}
