// live at exit: 2 blocks, 32822 bytes (a directory left open: 32,816; 6)
#include <dirent.h>
#include <stdlib.h>

int main(void) {
    DIR *left = opendir("/");
    for (int i = 0; i < 10; i++)
        closedir(opendir("/"));
    return left && malloc(6) ? 0 : 1;
}
