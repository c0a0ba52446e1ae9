// Three threads fork and exec while four others allocate.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { FORKS = 60 };
static atomic_int done;

static void *allocate(void *unused) {
  while (!atomic_load(&done)) {
    void *blocks[50];
    for (int i = 0; i < 50; i++) blocks[i] = malloc(i * 30);
    for (int i = 0; i < 50; i++) free(blocks[i]);
  }
  return unused;
}

static void child(int kind) {
  void *block = malloc(100);
  free(block);
  if (kind == 0) _exit(block ? 7 : 1);
  if (kind == 1) execl("/bin/true", "true", (char *)NULL);
  exit(7);
}

static void *fork_often(void *unused) {
  long wrong = 0;
  for (int i = 0; i < FORKS; i++) {
    int status = -1, pid = fork();
    if (pid == 0) child(i % 3);
    waitpid(pid, &status, 0);
    wrong += !WIFEXITED(status) || WEXITSTATUS(status) != (i % 3 == 1 ? 0 : 7);
  }
  (void)unused;
  return (void *)wrong;
}

int main(void) {
  pthread_t allocating[4], forking[3];
  long wrong = 0;
  for (int i = 0; i < 4; i++) pthread_create(&allocating[i], NULL, allocate, NULL);
  for (int i = 0; i < 3; i++) pthread_create(&forking[i], NULL, fork_often, NULL);
  for (int i = 0; i < 3; i++) {
    void *result;
    pthread_join(forking[i], &result);
    wrong += (long)result;
  }
  atomic_store(&done, 1);
  for (int i = 0; i < 4; i++) pthread_join(allocating[i], NULL);
  printf("%ld wrong\n", wrong);
  return 0;
}
