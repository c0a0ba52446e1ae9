// Calls whose arguments another thread takes away and gives back all the time: each works or fails, as it comes.
// flags: -O0 -Wno-unused-result
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define PAGE 4096

static char *page;
static atomic_int over;

static void *takes_away(void *unused) {
  while (!over) {
    mprotect(page, PAGE, PROT_NONE);
    mprotect(page, PAGE, PROT_READ | PROT_WRITE);
  }
  return unused;
}

static void put(void *to, const void *from, size_t size) {
  // The kernel writes there, or not.
  static int ends[2];
  if (ends[1] == 0 && pipe(ends)) exit(1);
  if (write(ends[1], from, size) != (ssize_t)size) exit(1);
  while (read(ends[0], to, size) < 0) {}
}

static const char *REQUEST = "GET / HTTP/1.1\r\n\r\n", *ANSWER = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

// On a connection from which a request is to be read, or was.
static void moves(int kind, int server) {
  char bytes[100];
  int writes = kind < 3;
  if (writes && read(server, bytes, sizeof bytes) != 18) exit(2);
  struct iovec part = {writes ? page + 200 : bytes, writes ? strlen(ANSWER) : sizeof bytes};
  struct msghdr message = {.msg_iov = (void *)page, .msg_iovlen = 1};
  put(page, &part, sizeof part);
  put(page + 200, ANSWER, strlen(ANSWER));
  switch (kind) {
  case 0: write(server, page + 200, strlen(ANSWER)); break;
  case 1: writev(server, (void *)page, 1); break;
  case 2: sendmsg(server, &message, 0); break;
  case 3: readv(server, (void *)page, 1); break;
  default: recvmsg(server, &message, MSG_DONTWAIT);
  }
}

static void others(int round) {
  char *arguments[] = {"x", NULL}, *variables[] = {page + 100, NULL};
  struct { unsigned short length; void *filter; } program = {1, page};
  struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  switch (round % 4) {
  case 0: execve("/nonesuch", arguments, (char **)page); break;
  case 1: execve("/nonesuch", arguments, variables); break;
  case 2: put(page, &none, sizeof none), setrlimit(RLIMIT_AS, (void *)page); break;
  default: put(page, &program, sizeof program), prctl(PR_SET_SECCOMP, 2, page, 0, 0);
  }
  if (round % 64 == 0) posix_spawn(NULL, "/nonesuch", NULL, NULL, arguments, variables);
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, size) || listen(listener, 9) || getsockname(listener, (void *)&address, &size)) return 1;
  page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  pthread_t thread;
  pthread_create(&thread, NULL, takes_away, NULL);
  for (int round = 0; round < 12000; round++) others(round);
  for (int round = 0; round < 800; round++) {
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (void *)&address, size) || send(client, REQUEST, 18, 0) != 18) return 1;
    int server = accept(listener, NULL, NULL);
    moves(round % 5, server);
    close(server), close(client);
  }
  over = 1;
  pthread_join(thread, NULL);
  puts("done");
  return 0;
}
