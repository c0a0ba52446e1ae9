// Opens two libraries in turns, each in the place of the other, and says what the functions that they call give.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>

int main(int count, char **path) {
    const void *first = NULL;
    int same = 1;
    if (count < 3)
        return 1;
    for (int round = 0; round < 6; round++) {
        void *library = dlopen(path[1 + round % 2], RTLD_NOW | RTLD_LOCAL);
        if (!library)
            return 2;
        int (*go)(void) = (int (*)(void))dlsym(library, "go");
        // By then all that is mapped for other reasons is.
        if (round == 2)
            first = (const void *)go;
        same &= round < 2 || first == (const void *)go;
        printf("%d\n", go());
        fflush(stdout);
        dlclose(library);
    }
    // Else nothing was tried.
    return same ? 0 : 3;
}
