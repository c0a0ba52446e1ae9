// live at exit: 5 blocks, 555 bytes (2 in the first image, 3 in the one that it becomes)
// process: 2 blocks, 300 bytes
// process: 3 blocks, 255 bytes
// before exit: none
// before exit: 3 blocks, 255 bytes
// valgrind: no, exec
#include <stdlib.h>
#include <unistd.h>

int main(int count, char **arguments) {
    if (count > 1)
        return malloc(100) && malloc(100) && malloc(55) ? 0 : 1;
    void *a = malloc(100), *b = malloc(200);
    if (a && b)
        execl("/proc/self/exe", arguments[0], "again", (char *)NULL);
    return 2;
}
