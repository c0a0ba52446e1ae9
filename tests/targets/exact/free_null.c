// live at exit: 1 block, 10 bytes
#include <errno.h>
#include <stdlib.h>

int main(void) {
    errno = 77;
    for (int i = 0; i < 1000; i++)
        free(NULL);
    void *kept = malloc(10);
    free(malloc(20));
    return kept && errno == 77 ? 0 : 1; // free keeps errno since glibc 2.33
}
