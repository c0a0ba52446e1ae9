// Takes 200 blocks of a megabyte and uses them, and looks into each pause for what poll would tell.
#include <poll.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCKS = 200, BYTES = 1 << 20 };

static char *kept[BLOCKS];

int main(void)
{
    for (int i = 0; i < BLOCKS; i++) {
        kept[i] = malloc(BYTES);
        memset(kept[i], 1, BYTES);
        // More than two looks at the condition.
        poll(NULL, 0, 10);
    }
    return kept[BLOCKS - 1][0] - 1;
}
