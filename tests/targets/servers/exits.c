// A server whose child answers until it ends, and closes nothing: three requests from a client of its own.
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

static void ask(struct sockaddr_in address) {
  static const char request[] = "GET /leave HTTP/1.0\r\n\r\n";
  char answer[100];
  int server = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(server, (struct sockaddr *)&address, sizeof address) != 0 ||
      write(server, request, sizeof request - 1) < 0)
    _exit(1);
  while (read(server, answer, sizeof answer) > 0) {
  }
  _exit(0);
}

static void serve(int client) {
  static const char answer[] = "HTTP/1.0 200 OK\r\n\r\nuntil the end";
  char request[100];
  void *volatile kept;
  if (read(client, request, sizeof request) < 0) _exit(1);
  kept = malloc(1000);
  (void)kept;
  if (write(client, answer, sizeof answer - 1) < 0) _exit(1);
  _exit(0);
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t length = sizeof address;
  int listening = socket(AF_INET, SOCK_STREAM, 0), failed = 0;
  if (bind(listening, (struct sockaddr *)&address, length) != 0 || listen(listening, 3) != 0 ||
      getsockname(listening, (struct sockaddr *)&address, &length) != 0)
    return 1;
  for (int i = 0; i < 3; i++) {
    int client, status;
    if (fork() == 0) ask(address);
    client = accept(listening, NULL, NULL);
    if (fork() == 0) serve(client);
    close(client);
    for (int child = 0; child < 2; child++)
      failed |= wait(&status) < 0 || status != 0;
  }
  return failed;
}
