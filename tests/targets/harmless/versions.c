// Old versions of functions, which do other things than those of today: a script that names no interpreter is handed to
// the shell, a condition variable is another structure, the thread's destructors run at a quick exit.
// flags: -Wno-unused-result
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

typedef int spawn(pid_t *, const char *, const void *, const void *, char *const *, char *const *);
spawn old_spawn, old_spawnp;
int old_wait(void *, pthread_mutex_t *);
int old_timedwait(void *, pthread_mutex_t *, const struct timespec *);
int old_signal(void *);
void old_quick_exit(int);
int __cxa_thread_atexit_impl(void (*)(void *), void *, void *);
extern void *__dso_handle;
__asm__(".symver old_spawn, posix_spawn@GLIBC_2.2.5");
__asm__(".symver old_spawnp, posix_spawnp@GLIBC_2.2.5");
__asm__(".symver old_wait, pthread_cond_wait@GLIBC_2.2.5");
__asm__(".symver old_timedwait, pthread_cond_timedwait@GLIBC_2.2.5");
__asm__(".symver old_signal, pthread_cond_signal@GLIBC_2.2.5");
__asm__(".symver old_quick_exit, quick_exit@GLIBC_2.10");

extern char **environ;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
// As much as a program of then has: a pointer, and what lies behind it.
static struct { void *condition; char behind[56]; } old = {NULL, "untouched"};
static pthread_cond_t new_ = PTHREAD_COND_INITIALIZER;
static int turn;

static void script(const char *what, spawn *spawns, const char *path) {
  char *arguments[] = {"script", NULL};
  int status = 0;
  pid_t child;
  int failed = spawns(&child, path, NULL, NULL, arguments, environ);
  if (!failed) waitpid(child, &status, 0);
  printf("%s: %s, status %d\n", what, strerror(failed), WEXITSTATUS(status));
  fflush(stdout);
}

static void *signals(void *unused) {
  for (int i = 0; i < 3; i++) {
    pthread_mutex_lock(&mutex);
    turn = i + 1;
    i == 2 ? pthread_cond_signal(&new_) : old_signal(&old);
    pthread_mutex_unlock(&mutex);
    while (__atomic_load_n(&turn, __ATOMIC_SEQ_CST)) usleep(100);
  }
  return unused;
}

static void ends(void *what) {
  write(1, what, strlen(what));
}

int main(int argc, char **argv) {
  struct timespec until = {.tv_sec = time(NULL) + 20};
  FILE *file = fopen("script", "w");
  fputs("echo in the shell; exit 7\n", file), fclose(file), chmod("script", 0755);
  alarm(30);
  script("old spawn", old_spawn, "script");
  script("old spawnp", old_spawnp, "./script");
  script("spawn", (spawn *)posix_spawn, "script");
  script("spawnp", (spawn *)posix_spawnp, "./script");
  pthread_t thread;
  pthread_mutex_lock(&mutex);
  pthread_create(&thread, NULL, signals, NULL);
  for (int i = 0; i < 3; i++) {
    int failed = 0;
    while (turn != i + 1 && !failed)
      failed = i == 0 ? old_timedwait(&old, &mutex, &until) : i == 1 ? old_wait(&old, &mutex) : pthread_cond_timedwait(&new_, &mutex, &until);
    printf("turn %d: %d %d %s\n", i, failed, old.condition != NULL, old.behind);
    turn = 0;
  }
  pthread_mutex_unlock(&mutex);
  pthread_join(thread, NULL);
  fflush(stdout);
  __cxa_thread_atexit_impl(ends, "the thread's destructor\n", &__dso_handle);
  argc > 1 && argv[1][0] ? quick_exit(5) : old_quick_exit(6);
}
