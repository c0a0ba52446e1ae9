// Requests that create threads: /unjoined leaves each thread that has ended unjoined (stacks of 256 KiB), /running
// leaves it running, /joined joins, /detached detaches, /born_detached creates it detached. With an argument 300 requests
// to /unjoined, and as many that do nothing.
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { REQUESTS = 60, STACK = 256 << 10 };

static sem_t done;
static sem_t never;

// What the compiler may not leave out: a thread that does nothing is not heard of.
static void heard(void) {
  char *volatile block = malloc(10);
  free(block);
}

static void *ends(void *argument) {
  heard();
  sem_post(&done);
  return argument;
}

static void *stays(void *argument) {
  heard();
  sem_post(&done);
  while (sem_wait(&never) != 0) {
  }
  return argument;
}

static pthread_t create(void *(*run)(void *), int state) {
  pthread_t thread;
  pthread_attr_t attributes;
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, STACK);
  pthread_attr_setdetachstate(&attributes, state);
  if (pthread_create(&thread, &attributes, run, NULL) != 0) exit(1);
  pthread_attr_destroy(&attributes);
  while (sem_wait(&done) != 0) {
  }
  return thread;
}

static void unjoined(void) { create(ends, PTHREAD_CREATE_JOINABLE); }

static void running(void) { create(stays, PTHREAD_CREATE_JOINABLE); }

static void joined(void) {
  if (pthread_join(create(ends, PTHREAD_CREATE_JOINABLE), NULL) != 0) exit(2);
}

static void detached(void) {
  if (pthread_detach(create(ends, PTHREAD_CREATE_JOINABLE)) != 0) exit(3);
}

static void born_detached(void) { create(ends, PTHREAD_CREATE_DETACHED); }

static void nothing(void) {}

static void serve(const char *label, void (*request)(void)) {
  leak_begin(label);
  request();
  leak_end();
}

int main(int argc, char **argv) {
  (void)argv;
  sem_init(&done, 0, 0);
  sem_init(&never, 0, 0);
  for (int round = 0; argc > 1 && round < 300; round++) {
    serve("/unjoined", unjoined);
    serve("/nothing", nothing);
  }
  if (argc > 1) return 0;
  static const struct {
    const char *label;
    void (*serve)(void);
  } requests[] = {
      {"/unjoined", unjoined}, {"/running", running},
      {"/joined", joined},     {"/detached", detached},
      {"/born_detached", born_detached},
  };
  for (int round = 0; round < REQUESTS; round++)
    for (int i = 0; i < 5; i++) serve(requests[i].label, requests[i].serve);
  return 0;
}
