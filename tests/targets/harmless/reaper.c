// As the first process of a namespace, or as a subreaper ("subreaper" starts it anew as one, under the
// library that $PRELOAD names): who is a child, and when there is none.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

static int child(int status) {
  int pid = fork();
  if (pid == 0) {
    usleep(20000);
    _exit(status);
  }
  return pid;
}

static void count(const char *what) {
  int ended = 0, sum = 0, status;
  while (wait(&status) > 0) {
    ended++;
    sum += WEXITSTATUS(status);
  }
  printf("%s: %d ended, sum %d, then %s\n", what, ended, sum, strerror(errno));
}

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "subreaper") == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getenv("PRELOAD")) setenv("LD_PRELOAD", getenv("PRELOAD"), 1);
    execl(argv[0], argv[0], (char *)NULL);
    return 1;
  }
  printf("%d\n", (int)waitpid(-1, NULL, WNOHANG));
  count("none");
  for (int i = 1; i < 4; i++) child(i);
  count("three");
  if (fork() == 0) {  // an orphan of ours
    child(9);
    _exit(8);
  }
  count("an orphan");
  siginfo_t found;
  int pid = child(5);
  printf("%d %d\n", waitid(P_ALL, 0, &found, WEXITED), found.si_pid == pid);
  signal(SIGCHLD, SIG_IGN);
  for (int i = 1; i < 4; i++) child(i);
  errno = 0;
  printf("ignored: %d, %s\n", (int)wait(NULL), strerror(errno));
  printf("%d %s\n", (int)waitpid(-1, NULL, WNOHANG), strerror(errno));
  fflush(stdout);
  free(malloc(77));
  return 3;
}
