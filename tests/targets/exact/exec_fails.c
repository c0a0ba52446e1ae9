// live at exit: 2 blocks, 44 bytes (a failed exec changes nothing)
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    void *before = malloc(33);
    char *arguments[] = {"nothing", NULL};
    for (int i = 0; i < 10; i++)
        if (execv("/nonexistent/nothing", arguments) != -1 || errno != ENOENT)
            return 1;
    void *after = malloc(11);
    return before && after ? 0 : 2;
}
