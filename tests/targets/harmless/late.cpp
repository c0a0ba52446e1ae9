// Allocates and frees wherever it is late: in destructors of thread-specific values that set them again,
// of thread_local objects, of static ones, in handlers of exit; and in 10,000 threads with small stacks.
#include <limits.h>
#include <pthread.h>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

static pthread_key_t key;
static int again, handlers, destroyed;

struct Late {
  std::string text = std::string(100, 'x');
  ~Late() {
    std::string more = text + text;
    destroyed += more.size() == 200;
  }
};
static thread_local Late late;
static Late last;

static void destroy(void *value) {
  free(value);
  __atomic_fetch_add(&again, 1, __ATOMIC_RELAXED);
  pthread_setspecific(key, malloc(30));
}

static void at_exit() {
  handlers += std::make_unique<std::string>(1000, 'y')->size() == 1000;
  if (handlers < 5) atexit(at_exit);
  if (handlers == 5) fprintf(stdout, "%d rounds, %d handlers\n", again, handlers);
}

static void *run(void *) {
  pthread_setspecific(key, malloc(20));
  return reinterpret_cast<void *>(late.text.size());
}

int main() {
  atexit(at_exit);
  pthread_key_create(&key, destroy);
  pthread_attr_t small;
  pthread_attr_init(&small);
  pthread_attr_setstacksize(&small, PTHREAD_STACK_MIN);
  size_t sum = 0;
  for (int i = 0; i < 10000; i++) {
    pthread_t thread;
    void *result;
    if (pthread_create(&thread, &small, run, nullptr) != 0) return 1;
    pthread_join(thread, &result);
    sum += reinterpret_cast<size_t>(result);
  }
  printf("%zu %d\n", sum, destroyed);
  return 2;
}
