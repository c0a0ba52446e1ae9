// A program with an interpreter within it, which keeps 1,000 vehicles.
// flags: -l:libpython3.11.so.1.0
#include <unistd.h>

void Py_Initialize(void);
int PyRun_SimpleString(const char *script);

int main(void)
{
    Py_Initialize();
    int failed = PyRun_SimpleString("class Vehicle: __slots__ = ()\n"
                                    "kept = [Vehicle() for _ in range(1000)]\n");
    _exit(failed ? 1 : 0);
}
