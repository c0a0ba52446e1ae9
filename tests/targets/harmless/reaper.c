// As the first process of a namespace, or as a subreaper ("subreaper" starts it anew as one, under the
// library that $PRELOAD names): who is a child, and when there is none.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
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

// The whole family, with and without children: a stopped and continued one, one of the group's, none.
static void each(void) {
  struct rusage usage;
  siginfo_t found = {.si_pid = 77};
  int ends[2], status, result = pipe(ends), pid = fork();
  if (pid == 0) {
    char byte;
    raise(SIGSTOP);
    _exit(read(ends[0], &byte, 1) == 1 ? 6 : 1);
  }
  result |= waitid(P_ALL, 0, &found, WEXITED | WNOHANG);
  printf("not yet: %d %d %d %d", result, found.si_pid, (int)wait3(&status, WNOHANG, &usage), (int)wait4(-1, &status, WNOHANG, NULL));
  result = waitpid(-1, &status, WUNTRACED);
  printf(", stopped: %d %d", result == pid, WIFSTOPPED(status));
  kill(pid, SIGCONT);
  result = waitid(P_ALL, 0, &found, WCONTINUED);
  printf(", continued: %d %d %d", result, found.si_pid == pid, found.si_code == CLD_CONTINUED);
  result = write(ends[1], "x", 1) != 1 || waitid(P_PGID, getpgrp(), &found, WEXITED | WNOWAIT);
  printf(", of the group: %d %d %d", result, found.si_pid == pid, found.si_status);
  result = wait4(-1, &status, 0, &usage);
  printf(", taken: %d %d\n", result == pid, WEXITSTATUS(status));
  close(ends[0]), close(ends[1]);
  pid = child(7);
  result = wait3(&status, 0, NULL);
  printf("wait3: %d %d", result == pid, WEXITSTATUS(status));
  pid = child(8);
  result = waitpid(0, &status, 0);
  printf(", waitpid: %d %d", result == pid, WEXITSTATUS(status));
  errno = 0, result = waitid(P_ALL, 0, &found, WEXITED | WNOHANG);
  printf(", none: %d %d", result, errno);
  errno = 0, result = wait3(&status, WNOHANG, &usage);
  printf(" %d %d", result, errno);
  errno = 0, result = waitpid(-getpgrp(), &status, 0);
  printf(" %d %d\n", result, errno);
}

static volatile sig_atomic_t told;
static void tell(int signal) { told += signal == SIGCHLD; }

int main(int argc, char **argv) {
  if (argc > 1 && strcmp(argv[1], "subreaper") == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getenv("PRELOAD")) setenv("LD_PRELOAD", getenv("PRELOAD"), 1);
    execl(argv[0], argv[0], (char *)NULL);
    return 1;
  }
  signal(SIGCHLD, tell);
  printf("%d\n", (int)waitpid(-1, NULL, WNOHANG));
  count("none");
  printf("told of %d\n", (int)told);
  signal(SIGCHLD, SIG_DFL);
  each();
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
