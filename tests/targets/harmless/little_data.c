// Says how many blocks of half a MiB it can map where its data is limited.
#include <stdio.h>
#include <sys/mman.h>

int main(void) {
    int blocks = 0;
    while (mmap(NULL, 512 << 10, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED)
        blocks++;
    printf("%d blocks\n", blocks);
    return 0;
}
