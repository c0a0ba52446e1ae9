// Children of clone in several forms, of raw system calls, and of vfork, all of which allocate or exec.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static char stack[1 << 18] __attribute__((aligned(64)));

static int allocates(void *unused) {
  (void)unused;
  for (int i = 0; i < 1000; i++) free(malloc(i));
  return malloc(10) ? 4 : 1;
}

static int runs(void *unused) {
  (void)unused;
  execl("/bin/sh", "sh", "-c", "exit 5", (char *)NULL);
  return 1;
}

static int status_of(int pid) {
  int status = 0;
  if (waitpid(pid, &status, __WALL) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

int main(void) {
  void *top = stack + sizeof stack;
  for (int i = 0; i < 10; i++) {
    printf("%d ", status_of(clone(allocates, top, SIGCHLD, NULL)));
    printf("%d ", status_of(clone(runs, top, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL)));
    printf("%d ", status_of(clone(allocates, top, CLONE_FILES | CLONE_FS | SIGCHLD, NULL)));
    fflush(stdout);
    int pid = syscall(SYS_fork);
    if (pid == 0) _exit(allocates(NULL) + 2);
    printf("%d ", status_of(pid));
    pid = vfork();
    if (pid == 0) {
      execl("/bin/sh", "sh", "-c", "exit 7", (char *)NULL);
      _exit(1);
    }
    printf("%d\n", status_of(pid));
  }
  return 0;
}
