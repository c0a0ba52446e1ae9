// Calls on a connection that fail, each before its request is read and again before it is answered: it goes on as if
// they had not been made. Each request leaves 3000 bytes.
// flags: -O0 -Wno-nonnull -Wno-stringop-overread
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define KINDS 20
void *kept[KINDS];

static long fails(int kind, int it) {
  switch (kind) {
  case 0: return close_range(it, it, 0x100);
  case 1: return close_range(it, it - 1, 0);
  case 2: return close_range(it, it, -1);
  case 3: return fdopen(it, "nonsense") ? 0 : -1;
  case 4: return shutdown(it, 99);
  case 5: return dup2(it, -1);
  case 6: return dup2(9999, it);
  case 7: return dup3(it, it, 0);
  case 8: return dup3(9999, it, 0);
  case 9: return fcntl(it, F_DUPFD, -1);
  case 10: return read(it, (void *)-1L, 100);
  case 11: return recv(it, (void *)8, 100, 0);
  case 12: return readv(it, (void *)8, 1);
  case 13: return recvmsg(it, NULL, 0);
  case 14: return write(it, (void *)-1L, 100);
  case 15: return sendmmsg(it, (void *)8, 1, 0);
  case 16: return writev(it, (void *)-1L, 3);
  case 17: return sendmsg(it, (void *)8, 0);
  case 18: return prctl(PR_SET_SECCOMP, 2, NULL, 0, 0);
  default: return syscall(SYS_seccomp, 1, 0, NULL);
  }
}

int main(void) {
  struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  socklen_t size = sizeof address;
  int listener = socket(AF_INET, SOCK_STREAM, 0);
  if (bind(listener, (void *)&address, size) || listen(listener, 9) || getsockname(listener, (void *)&address, &size)) return 1;
  for (int kind = 0; kind < KINDS; kind++) {
    char bytes[100];
    int client = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(client, (void *)&address, size) || write(client, "GET /kept HTTP/1.1\r\n\r\n", 22) != 22) return 1;
    int server = accept4(listener, NULL, NULL, SOCK_NONBLOCK), there = 0;
    while (there != 22) ioctl(server, FIONREAD, &there);
    errno = 0;
    printf("%d: %ld", kind, fails(kind, server));
    printf(" %s", strerrorname_np(errno));
    if (read(server, bytes, sizeof bytes) != 22) return 2;
    kept[kind] = malloc(3000);
    printf(" %ld\n", fails(kind, server));
    if (write(server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 38) != 38) return 3;
    close(server);
    if (read(client, bytes, sizeof bytes) != 38) return 4;
    close(client);
  }
  return 0;
}
