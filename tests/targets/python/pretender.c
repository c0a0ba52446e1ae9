// A program that looks like an interpreter of the version that VERSION names, and keeps 10 blocks of 100 bytes.
// flags: -rdynamic
#include <stdlib.h>
#include <unistd.h>

char _PyRuntime[4096];

const char *Py_GetVersion(void)
{
    return getenv("VERSION");
}

int main(void)
{
    static void *kept[10];
    for (int index = 0; index < 10; index++)
        kept[index] = malloc(100);
    _exit(kept[9] ? 0 : 1);
}
