// live at exit: 23 blocks, 6848 bytes (20 of 111 from a library opened and closed ten times, 1 of 20; 4,608 in 2 of ld.so's)
// library: plugin.c
#include <dlfcn.h>
#include <stdlib.h>

int main(void) {
    void *kept = malloc(20);
    for (int i = 0; i < 10; i++) {
        void *library = dlopen(getenv("LIBRARY"), RTLD_NOW);
        if (library == NULL)
            return 1;
        void *(*keep)(void) = (void *(*)(void))dlsym(library, "keep");
        if (keep() == NULL)
            return 2;
        if (dlclose(library) != 0)
            return 3;
    }
    return kept ? 0 : 4;
}
