// Changes its root to where it stands, drops its rights, and goes on; what it can't exec any more fails.
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void *allocate(void *unused) {
  for (int i = 0; i < 1000; i++) free(malloc(i));
  return unused;
}

int main(void) {
  pthread_t thread;
  int status;
  if (chroot(".") != 0 || chdir("/") != 0) return 1;
  if (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0) return 1;
  for (int i = 0; i < 20; i++) {
    pthread_create(&thread, NULL, allocate, NULL);
    pthread_join(thread, NULL);
    int pid = fork();
    if (pid == 0) {
      execl("/statically", "statically", (char *)NULL);
      execl("/nowhere", "nowhere", (char *)NULL);
      allocate(NULL);
      _exit(errno == ENOENT ? 2 : 3);
    }
    waitpid(pid, &status, 0);
    printf("%d ", WEXITSTATUS(status));
  }
  printf("%s\n", setuid(0) == 0 ? "root" : "nobody");
  return 6;
}
