// live at exit: 2 blocks, 8192 bytes (stdio's buffers, 4096 each: stdout into a file, stdin from a device)
#include <stdio.h>
#include <stdlib.h>

int main(void) {
    printf("buffered\n");
    if (freopen("/dev/null", "r", stdin) == NULL)
        return 1;
    getchar();
    for (int i = 0; i < 100; i++) {
        FILE *file = fopen("/dev/null", "w");
        fprintf(file, "%d", i);
        fclose(file);
    }
    return 0;
}
