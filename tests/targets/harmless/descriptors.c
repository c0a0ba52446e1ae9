// The numbers of descriptors, and what is open, before and after closing all of them; a daemon, twice.
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void list(const char *when) {
  DIR *directory = opendir("/proc/self/fd");
  struct dirent *entry;
  printf("%s:", when);
  while ((entry = readdir(directory))) printf(" %s", entry->d_name);
  printf("\n");
  closedir(directory);
}

static void open_some(const char *when) {
  int pipes[2];
  int result = pipe(pipes);
  printf("%s: %d %d %d %d %d %d\n", when, result, pipes[0], pipes[1], open("/dev/null", O_RDONLY),
         socket(AF_UNIX, SOCK_STREAM, 0), epoll_create1(0));
}

int main(void) {
  int report[2];
  list("at first");
  open_some("opened");
  closefrom(3);
  free(malloc(100));
  open_some("after closefrom");
  close_range(3, ~0u, 0);
  list("after close_range");
  if (pipe(report) != 0) return 1;
  fflush(stdout);
  for (int times = 0; times < 2; times++) {
    if (fork() > 0) {
      char text[200];
      ssize_t length;
      close(report[1]);
      while (wait(NULL) > 0) {
      }
      if (times) _exit(4);
      while ((length = read(report[0], text, sizeof text)) > 0)
        if (write(1, text, length) != length) return 1;
      return 5;
    }
    free(malloc(10));
    if (daemon(0, 0) != 0) return 1;
  }
  dup2(report[1], 1);
  close_range(3, ~0u, 0);
  open_some("in the daemon");
  return 0;
}
