// A server whose every answer lies in a page of its own, which the client's thread unmaps once it has come. 400 requests,
// each of which leaves 333 bytes.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUNDS 400
#define PAGE 4096
// More than is looked at before a call.
#define BODY (3 * PAGE)

static int client;
static char *volatile answer;
static size_t volatile length;
void *volatile kept[ROUNDS];

static void *asks(void *unused) {
  for (int round = 0; round < ROUNDS; round++) {
    static char bytes[2 * BODY];
    const char *request = "GET /unmapped HTTP/1.1\r\n\r\n";
    if (send(client, request, strlen(request), 0) < 0) return unused;
    while (answer == NULL) sched_yield();
    for (size_t got = 0, wanted = length; got < wanted;) {
      ssize_t more = recv(client, bytes, wanted - got, 0);
      if (more <= 0) return unused;
      got += more;
    }
    munmap(answer, 4 * PAGE);
    answer = NULL;
  }
  return unused;
}

static ssize_t answers(int to, int how, char *page, size_t head, size_t body) {
  struct iovec parts[2] = {{page, head}, {page + head, body}};
  struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
  switch (how % 5) {
  case 0: return write(to, page, head + body);
  case 1: return send(to, page, head + body, 0);
  case 2: return writev(to, parts, 2);
  case 3: return sendmsg(to, &message, 0);
  default: return sendto(to, page, head + body, 0, NULL, 0);
  }
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, size) || listen(listener, 1) || getsockname(listener, (void *)&address, &size)) return 1;
  client = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(client, (void *)&address, size)) return 1;
  int server = accept(listener, NULL, NULL);
  pthread_t thread;
  pthread_create(&thread, NULL, asks, NULL);
  // Where it may, it runs as soon as the answer is there, before the call returns.
  pthread_setschedparam(thread, SCHED_FIFO, &(struct sched_param){1});
  for (int round = 0; round < ROUNDS; round++) {
    char request[100];
    if (read(server, request, sizeof request) != 26) return 2;
    kept[round] = malloc(333);
    size_t body = round % 2 ? 100 : BODY;
    char *page = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t head = sprintf(page, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", body);
    memset(page + head, 'x', body);
    length = head + body;
    answer = page;
    if (answers(server, round / 2, page, head, body) != (ssize_t)(head + body)) return 3;
    while (answer) sched_yield();
  }
  pthread_join(thread, NULL);
  puts("served");
  return 0;
}
