// flags: -Wno-use-after-free
// Says all that a program can see of itself: descriptors, threads, children, signals, limits, and what errno
// is after each call that is hooked, when it works and when it fails.
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static void names(const char *path) {
  DIR *directory = opendir(path);
  struct dirent *entry;
  int count = 0;
  while (directory && (entry = readdir(directory))) count++;
  printf("%s: %d\n", path, count);
  if (directory) closedir(directory);
}

static void lines(const char *path, const char *const *wanted) {
  char line[512];
  FILE *file = fopen(path, "r");
  while (file && fgets(line, sizeof line, file))
    for (const char *const *word = wanted; *word; word++)
      if (strncmp(line, *word, strlen(*word)) == 0) fputs(line, stdout);
  if (file) fclose(file);
}

static void process(void) {
  struct stat found;
  for (int fd = 0; fd < 2000; fd++)
    if (fstat(fd, &found) == 0) printf("open: %d\n", fd);
  names("/proc/self/task");
  names("/proc/self/fd");
  lines("/proc/self/status", (const char *[]){"Name", "Umask", "TracerPid", "Threads", "SigPnd", "ShdPnd", "SigBlk", "SigIgn", "SigCgt", "Cap", "NoNewPrivs", "Seccomp:", "Cpus_allowed_list", NULL});
  lines("/proc/self/limits", (const char *[]){"Max open", "Max stack", "Max core", "Max proc", "Max locked", "Max pending", "Max address", NULL});
  for (int limit = 0; limit < RLIM_NLIMITS; limit++) {
    struct rlimit has;
    if (getrlimit(limit, &has) == 0) printf("limit %d: %ld %ld\n", limit, (long)has.rlim_cur, (long)has.rlim_max);
  }
  for (int signal = 1; signal < 65; signal++) {
    struct sigaction action;
    if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL) printf("signal %d is not the usual\n", signal);
  }
  stack_t stack;
  sigaltstack(NULL, &stack);
  int dumpable = prctl(PR_GET_DUMPABLE), reaper = -1, death = -1;
  prctl(PR_GET_CHILD_SUBREAPER, &reaper);
  prctl(PR_GET_PDEATHSIG, &death);
  printf("leader %d %d, stack flags %d, dumpable %d, reaper %d, death %d, nice %d, umask %o\n", getpgrp() == getpid(), getsid(0) == getpid(),
         stack.ss_flags, dumpable, reaper, death, getpriority(PRIO_PROCESS, 0), umask(022));
  for (char **variable = environ; *variable; variable++)
    if (strncmp(*variable, "LD_PRELOAD=", 11) && strncmp(*variable, "LEAK_", 5) && strncmp(*variable, "LIBRARY=", 8)) printf("%.*s\n", (int)strcspn(*variable, "="), *variable);
  errno = 7;
  printf("no child: %d", waitpid(-1, NULL, WNOHANG));
  printf(" %d\n", errno);
}

static void *volatile kept;
static void said(const char *call, long result) { printf("%s: %ld, errno %d\n", call, result, errno); }
#define SAY(call) (errno = 77, said(#call, (long)(call)))
#define GIVES(call) (errno = 77, kept = (void *)(call), said(#call, kept != NULL), free(kept))
static void *nothing(void *unused) { return unused; }
static volatile size_t huge = PTRDIFF_MAX;

static void calls(void) {
  void *place = &place, *block = malloc(100);
  pthread_t thread;
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  pthread_attr_t attributes;
  struct timespec past = {0, 0};
  struct sockaddr address = {.sa_family = AF_UNIX};
  socklen_t length = sizeof address;
  int pair[2], none = -1, status;
  char byte = 'x';
  fd_set set;
  pid_t child;
  GIVES(malloc(0));
  GIVES(malloc(10));
  GIVES(malloc(huge + 1));
  GIVES(calloc(10, 10));
  GIVES(calloc(huge, 10));
  GIVES(reallocarray(NULL, huge, 10));
  GIVES(reallocarray(NULL, 10, 10));
  SAY(realloc(block, huge + 1) == NULL);
  SAY(reallocarray(block, huge, 2) == NULL);
  SAY((block = realloc(block, 10000)) != NULL);
  SAY(realloc(block, 0) == NULL);
  SAY(posix_memalign(&place, 3, 10));
  SAY(posix_memalign(&place, 64, huge + 1));
  SAY(place == &place);
  SAY(posix_memalign((void **)&kept, 64, 10));
  free(kept);
  GIVES(aligned_alloc(64, 128));
  GIVES(aligned_alloc(64, huge + 1));
  GIVES(memalign(4096, 128));
  GIVES(memalign(3, huge));
  GIVES(valloc(1));
  GIVES(pvalloc(huge));
  errno = 77, free(NULL), said("free(NULL)", 0);
  errno = 77, free(malloc(1 << 22)), said("free(mapped)", 0);
  SAY(socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
  SAY(write(pair[0], &byte, 1));
  SAY(read(pair[1], &byte, 1));
  SAY(recv(pair[1], &byte, 1, MSG_DONTWAIT));
  SAY(send(pair[1], &byte, 1, 0));
  SAY(poll(NULL, 0, 0));
  FD_ZERO(&set);
  SAY(select(0, &set, NULL, NULL, &(struct timeval){0, 0}));
  SAY(read(none, &byte, 1));
  SAY(write(none, &byte, 1));
  SAY(accept(none, &address, &length));
  SAY(accept(pair[0], &address, &length));
  SAY(close(none));
  SAY(close(pair[0]));
  SAY(dup2(none, pair[1]));
  SAY(read(pair[1], &byte, 1));
  pthread_attr_init(&attributes);
  SAY(pthread_attr_setstacksize(&attributes, 1));
  SAY(pthread_attr_setstacksize(&attributes, (size_t)1 << 46));
  SAY(pthread_create(&thread, &attributes, nothing, NULL));
  SAY(pthread_create(&thread, NULL, nothing, NULL));
  SAY(pthread_join(thread, NULL));
  pthread_mutex_lock(&mutex);
  SAY(pthread_cond_timedwait(&condition, &mutex, &past));
  SAY(dlopen("/nonexistent.so", RTLD_NOW) == NULL);
  SAY(dlerror() != NULL);
  SAY(dlerror() != NULL);
  SAY(execl("/nonexistent", "x", (char *)NULL));
  SAY(execve("/nonexistent", (char *[]){"x", NULL}, NULL));
  SAY(execvp("", (char *[]){"x", NULL}));
  SAY(posix_spawn(&child, "/nonexistent", NULL, NULL, (char *[]){"x", NULL}, NULL));
  SAY(posix_spawnp(&child, "true", NULL, NULL, (char *[]){"true", NULL}, NULL));
  SAY(waitpid(child, &status, 0) == child);
  SAY(WEXITSTATUS(status));
  SAY(system("exit 3") >> 8);
  errno = 77, child = fork();
  if (child == 0) _exit(errno);
  said("fork", child > 0);
  SAY(wait(&status) == child);
  SAY(WEXITSTATUS(status));
  errno = 77, child = vfork();
  if (child == 0) _exit(5);
  said("vfork", child > 0);
  SAY(waitpid(-1, &status, 0) == child);
  SAY(waitpid(-1, &status, 0));
  SAY(waitid(P_ALL, 0, NULL, WEXITED));
}

int main(void) {
  process();
  calls();
  process();
  return 9;
}
