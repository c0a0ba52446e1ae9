// live at exit: 2 blocks, 150 bytes (a block whose realloc failed lives on)
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int main(void) {
    volatile size_t too_much = SIZE_MAX;
    char *kept = malloc(100);
    memset(kept, 7, 100);
    errno = 0;
    if (realloc(kept, too_much) != NULL || errno != ENOMEM)
        return 1;
    char *gone = malloc(60);
    if (realloc(gone, too_much - 4096) != NULL)
        return 2;
    free(gone); // once failed, still ours to free
    char *changed = malloc(10);
    if (realloc(changed, too_much) != NULL)
        return 3;
    changed = realloc(changed, 50);
    return kept[99] == 7 && changed ? 0 : 4;
}
