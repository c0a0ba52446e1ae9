// Names everything that a report can show so that it would steer a terminal: its arguments and its own path
// and a function (the test does), a source file, marks, and the paths of requests that it sends to itself.
#define _GNU_SOURCE
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

#define EVIL "\033[31m\033]0;title\007\302\233\342\200\256evil\342\201\246\177\r"
enum { REQUESTS = 20 };

static struct sockaddr_in address;
static void *volatile kept;

#line 1 "source\033[2J.c"
__attribute__((noinline)) void *keep(size_t size) { return malloc(size); }

static void *ask(void *unused) {
  static const char *const requests[] = {
    "GET /" EVIL " HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /%1b[31m\342\200\256 HTTP/1.1\r\nHost: x\r\n\r\n",
  };
  for (int i = 0; i < 2 * REQUESTS; i++) {
    char answer[256];
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0) return NULL;
    const char *request = requests[i % 2];
    if (write(fd, request, strlen(request)) < 0) return NULL;
    while (read(fd, answer, sizeof answer) > 0) {}
    close(fd);
  }
  return unused;
}

int main(void) {
  for (int i = 0; i < REQUESTS; i++) {
    leak_begin("mark" EVIL);
    kept = keep(100);
    leak_end();
  }
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  if (bind(listener, (struct sockaddr *)&address, length) != 0 || listen(listener, 8) != 0) return 2;
  if (getsockname(listener, (struct sockaddr *)&address, &length) != 0) return 2;
  pthread_t client;
  pthread_setname_np(pthread_self(), "\033[2J");
  if (pthread_create(&client, NULL, ask, NULL) != 0) return 2;
  for (int i = 0; i < 2 * REQUESTS; i++) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    char request[1024];
    int fd = accept(listener, NULL, NULL);
    if (fd < 0 || read(fd, request, sizeof request) <= 0) return 3;
    kept = keep(300);
    if (write(fd, answer, sizeof answer - 1) < 0) return 3;
    close(fd);
  }
  pthread_join(client, NULL);
  return 0;
}
