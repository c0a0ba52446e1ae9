// library: plugin.c
// Libraries bound by themselves (RTLD_DEEPBIND), and in a namespace with a C library of its own.
#include <dlfcn.h>
#include <cstdio>
#include <cstdlib>
#include <stdexcept>

int main() {
  const char *path = getenv("LIBRARY");
  for (int round = 0; round < 50; round++) {
    void *deep = dlopen(path, RTLD_NOW | RTLD_DEEPBIND), *other = dlmopen(LM_ID_NEWLM, path, RTLD_NOW);
    if (!deep) return 1;
    auto use = [](void *handle) { return handle ? dlsym(handle, "keep") : nullptr; };
    for (void *handle : {deep, other})
      if (auto *call = reinterpret_cast<void *(*)()>(use(handle))) call();
    free(malloc(round * 100));
    dlclose(deep);
    if (other) dlclose(other);
  }
  long caught = 0;
  for (int i = 0; i < 1000000; i++) try {
      throw i;
    } catch (int number) {
      caught += number == i;
    }
  printf("%ld caught\n", caught);
}
