// A program that loads an interpreter when it runs, as a plugin: `late LIBRARY [close]`. It keeps 1,000 vehicles;
// with `close` it ends the interpreter, closes the library and goes on without.
#include <dlfcn.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    void *library = argc > 1 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (!library)
        return 1;
    void (*initialize)(void) = dlsym(library, "Py_Initialize");
    int (*run)(const char *) = dlsym(library, "PyRun_SimpleString");
    int (*finalize)(void) = dlsym(library, "Py_FinalizeEx");
    initialize();
    if (run("class Vehicle: __slots__ = ()\n"
            "kept = [Vehicle() for _ in range(1000)]\n"))
        return 1;
    if (argc < 3)
        _exit(0);
    finalize();
    dlclose(library);
    for (int turn = 0; turn < 1000; turn++) {
        char *block = malloc(100);
        memset(block, turn, 100);
        free(block);
    }
    return 0;
}
