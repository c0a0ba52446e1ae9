// Every call on descriptors with odd pointers and counts, on all kinds of descriptors: each watched one is a connection
// of its own, from which a request was read, or is to be. "threads" has another thread.
// flags: -O0 -Wno-nonnull -Wno-restrict
#include "odd.h"
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

int __poll_chk(struct pollfd *, nfds_t, int, size_t);
ssize_t __read_chk(int, void *, size_t, size_t);
ssize_t __recv_chk(int, void *, size_t, size_t, int);
ssize_t __recvfrom_chk(int, void *, size_t, size_t, int, struct sockaddr *, socklen_t *);

static const char *REQUEST = "GET /odd HTTP/1.1\r\nA: 0123456789\r\n\r\n";
static int listeners[2], files[8], ends[2], sink;
static struct sockaddr_in address;
static struct sockaddr_un path;

enum { TCP, UNIX, TCP_EMPTY, TCP_CLOSED, CLIENT, LISTENER, PIPE, FILE_, EVENT, CLOSED, MINUS_ONE, HUGE, KINDS };
static const char *kinds[] = {"tcp", "unix", "empty", "closed by its peer", "client", "listener", "pipe", "file", "event", "closed", "-1", "huge"};
// The descriptor that a call is about, and its other end; -1: none.
static int it, other;

static void connection(int unix_, bool request) {
  struct sockaddr *to = unix_ ? (void *)&path : (void *)&address;
  other = socket(unix_ ? AF_UNIX : AF_INET, SOCK_STREAM, 0);
  if (connect(other, to, unix_ ? sizeof path : sizeof address)) abort();
  it = accept4(listeners[unix_], NULL, NULL, SOCK_NONBLOCK);
  if (it < 0) abort();
  if (request && send(other, REQUEST, strlen(REQUEST), 0) < 0) abort();
  for (int there = 0; request && there < (int)strlen(REQUEST);) ioctl(it, FIONREAD, &there);
}

// `writes`: a request was read, and its answer is due.
static void begin(int kind, bool writes) {
  char request[100];
  it = other = -1;
  switch (kind) {
  case TCP: case UNIX:
    connection(kind == UNIX, true);
    if (writes && read(it, request, sizeof request) != (ssize_t)strlen(REQUEST)) abort();
    break;
  case TCP_EMPTY: connection(0, false); break;
  case TCP_CLOSED:
    connection(0, true), close(other), other = -1;
    break;
  case CLIENT: connection(1, true); int swap = it; it = other, other = swap; fcntl(it, F_SETFL, O_NONBLOCK); break;
  case LISTENER:
    it = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(it, (void *)&(sa_family_t){AF_UNIX}, sizeof(sa_family_t)) || listen(it, 1)) abort();
    break;
  case PIPE: {
    int two[2];
    if (pipe2(two, O_NONBLOCK)) abort();
    it = two[!!writes], other = two[!writes];
    if (!writes && write(other, REQUEST, 30) != 30) abort();
    break;
  }
  case FILE_: it = open("file", O_RDWR | O_CREAT, 0600); break;
  case EVENT: it = eventfd(0, EFD_NONBLOCK); break;
  case CLOSED: it = dup(0), close(it); break;
  case MINUS_ONE: it = -1; break;
  default: it = INT_MAX;
  }
}

static void finish(int kind) {
  if (kind == CLIENT) {
    int swap = it;
    it = other, other = swap;
  }
  if (kind <= EVENT) close(it);
  if (other >= 0) close(other);
  fflush(stdout);
}

static void *at(int place) {
  if (place == GOOD) memset(places[GOOD].at, 'g', PAGE);
  if (place == AT_EDGE) memset(places[AT_EDGE].at, 'e', EDGE);
  return places[place].at;
}

static const size_t counts[] = {0, 1, EDGE, EDGE + 1, PAGE + 1, INT_MAX, SSIZE_MAX, SIZE_MAX};

// How much can be read there, at most.
static size_t there(int place) {
  return place == AT_EDGE ? EDGE : place == GOOD || place == READ_ONLY ? PAGE : SIZE_MAX;
}

#define EACH(what, writes, call)                                                                                       \
  for (int kind = 0; kind < KINDS; kind++)                                                                             \
    for (int place = 0; place < PLACES; place++)                                                                       \
      for (size_t index = 0; index < COUNT(counts); index++) {                                                         \
        void *p = at(place);                                                                                           \
        size_t n = counts[index];                                                                                      \
        (void)p, (void)n;                                                                                              \
        if (place > READ_ONLY && index > 2) continue;                                                                  \
        /* How much of more than there is a stream takes is the kernel's to say, not always the same. */               \
        if ((place == GOOD || (writes && kind != UNIX)) && n > there(place)) continue;                                 \
        begin(kind, writes);                                                                                           \
        printf("%s %s %s %zd: ", what, kinds[kind], places[place].name, n);                                            \
        TRY(call);                                                                                                     \
        finish(kind);                                                                                                     \
      }

static struct iovec one(void *p, size_t n) {
  return (struct iovec){p, n};
}

static void buffers(void) {
  struct iovec v[3];
  EACH("read", false, read(it, p, n));
  EACH("__read_chk", false, __read_chk(it, p, n, SIZE_MAX));
  EACH("recv", false, recv(it, p, n, 0));
  EACH("__recv_chk", false, __recv_chk(it, p, n, SIZE_MAX, 0));
  EACH("recv peek", false, recv(it, p, n, MSG_PEEK));
  EACH("recv trunc", false, recv(it, p, n, MSG_TRUNC));
  EACH("recv oob", false, recv(it, p, n, MSG_OOB));
  EACH("recvfrom", false, recvfrom(it, places[GOOD].at, 8, 0, p, (socklen_t *)p));
  EACH("__recvfrom_chk", false, __recvfrom_chk(it, p, n, SIZE_MAX, 0, NULL, NULL));
  EACH("write", true, write(it, p, n));
  EACH("send", true, send(it, p, n, MSG_NOSIGNAL));
  EACH("send flags", true, send(it, p, n, -1));
  EACH("sendto", true, sendto(it, p, n, 0, p, n));
  EACH("readv", false, readv(it, p, n));
  EACH("writev", true, writev(it, p, n));
  EACH("readv one", false, (v[0] = one(p, n), readv(it, v, 1)));
  EACH("writev one", true, (v[0] = one(p, n), writev(it, v, 1)));
  EACH("readv second", false, (v[0] = one(at(GOOD), 4), v[1] = one(p, n), v[2] = v[0], readv(it, v, 3)));
  EACH("writev second", true, (v[0] = one("HTTP", 4), v[1] = one(p, n), v[2] = v[0], writev(it, v, 3)));
  EACH("recvmsg", false, recvmsg(it, p, 0));
  EACH("sendmsg", true, sendmsg(it, p, 0));
  struct msghdr m;
  EACH("recvmsg of", false, (m = (struct msghdr){.msg_iov = p, .msg_iovlen = n}, recvmsg(it, &m, 0)));
  EACH("sendmsg of", true, (m = (struct msghdr){.msg_iov = p, .msg_iovlen = n}, sendmsg(it, &m, 0)));
  EACH("recvmsg one", false, (v[0] = one(p, n), m = (struct msghdr){.msg_iov = v, .msg_iovlen = 1}, recvmsg(it, &m, 0)));
  EACH("sendmsg one", true, (v[0] = one(p, n), m = (struct msghdr){.msg_iov = v, .msg_iovlen = 1}, sendmsg(it, &m, 0)));
  EACH("recvmsg control", false, (v[0] = one(at(GOOD), 8), m = (struct msghdr){.msg_iov = v, .msg_iovlen = 1, .msg_control = p, .msg_controllen = n}, recvmsg(it, &m, 0)));
  struct mmsghdr mm[2];
  EACH("recvmmsg", false, recvmmsg(it, p, n, MSG_WAITFORONE, NULL));
  EACH("sendmmsg", true, sendmmsg(it, p, n, 0));
  EACH("recvmmsg one", false, (v[0] = one(p, n), mm[0] = (struct mmsghdr){.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}}, mm[1] = mm[0], recvmmsg(it, mm, 2, MSG_DONTWAIT, NULL)));
  EACH("sendmmsg one", true, (v[0] = one(p, n), mm[0] = (struct mmsghdr){.msg_hdr = {.msg_iov = v, .msg_iovlen = 1}}, mm[1] = mm[0], sendmmsg(it, mm, 2, 0)));
  EACH("sendfile", true, sendfile(it, sink, p, n & PAGE));
  EACH("splice", true, splice(sink, p, it, p, n & PAGE, SPLICE_F_NONBLOCK));
  EACH("splice from", false, splice(it, p, ends[1], NULL, n & 7, SPLICE_F_NONBLOCK));
}

// Buffers over what tells where they are.
static void overlaps(void) {
  static union {
    char bytes[PAGE];
    struct iovec v[20];
    struct msghdr m;
    struct mmsghdr mm;
  } u;
  struct iovec v[2];
  for (int kind = TCP; kind <= UNIX; kind++) {
    for (int how = 0; how < 7; how++) {
      begin(kind, false);
      memset(&u, 0, sizeof u);
      printf("overlap %d %s: ", how, kinds[kind]);
      struct msghdr m = {.msg_iov = u.v, .msg_iovlen = 1};
      struct mmsghdr mm = {.msg_hdr = m};
      switch (how) {
      case 0: u.v[0] = one(&u, sizeof u); TRY(readv(it, u.v, 1)); break;
      case 1: u.v[0] = one(&u, sizeof u); TRY(recvmsg(it, &m, 0)); break;
      case 2: v[0] = one(&u, sizeof u), u.m = (struct msghdr){.msg_iov = v, .msg_iovlen = 1}; TRY(recvmsg(it, &u.m, 0)); break;
      case 3: u.v[0] = one(&u, sizeof u); TRY(recvmmsg(it, &mm, 1, 0, NULL)); break;
      case 4: v[0] = one(&u, sizeof u), u.mm.msg_hdr = (struct msghdr){.msg_iov = v, .msg_iovlen = 1}; TRY(recvmmsg(it, &u.mm, 1, 0, NULL)); break;
      case 5: v[0] = one(&u, 10), v[1] = one(&u, 30); TRY(readv(it, v, 2)); break;
      default:
        for (int i = 0; i < 20; i++) u.v[i] = one((char *)u.v + 16 * i, 2);
        TRY(readv(it, u.v, 20));
      }
      if (how < 6) fwrite(&u, 1, 64, stdout);
      finish(kind);
    }
  }
}

static void descriptors(void) {
  EACH("accept", false, kind == LISTENER && place == GOOD ? -1 : accept(it, p, (socklen_t *)p));
  EACH("accept4", false, kind == LISTENER && place == GOOD ? -1 : accept4(it, p, (socklen_t *)p, (int)n | 1));
  static const int numbers[] = {INT_MIN, -1, 0, 1, 2, 3, 4, 5, 99, INT_MAX};
  for (int kind = 0; kind < KINDS; kind++)
    for (size_t index = 0; index < COUNT(numbers); index++) {
      int n = numbers[index];
      begin(kind, true);
      printf("%s %d:\n", kinds[kind], n);
      TRY(shutdown(it, n));
      if (n < 0 || n > 9) TRY(dup2(it, n));
      if (n > 9 && n < 999) close(n);
      TRY(dup2(n, it) < 0 ? -1 : 0);
      TRY(dup3(it, it, n));
      TRY(dup3(-1, it, 0));
      TRY(fcntl(it, F_DUPFD, n < 0 || n > 9 ? n : INT_MAX));
      TRY(fcntl(it, n, 0) < 0);
      TRY(close_range(it, it, n | 0x100));
      TRY(close_range(it, it < 0 ? 0 : it - 1, 0));
      TRY(fdopen(it, "nonsense") != NULL);
      if (n != 99) close(it);
      TRY(close(it));
      finish(kind);
    }
}

// What is waited for with: never for long.
static void polls(void) {
  struct timespec odd[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {0, 0}};
  for (int place = 0; place < PLACES; place++)
    for (size_t index = 0; index < COUNT(counts); index++) {
      void *p = at(place);
      size_t n = counts[index];
      printf("polls %s %zd:\n", places[place].name, n);
      TRY(poll(p, n, 0));
      if (n <= PAGE) TRY(__poll_chk(p, n, 0, SIZE_MAX));
      for (size_t time = 0; time < COUNT(odd); time++) {
        TRY(ppoll(p, n, &odd[time], NULL));
        TRY(pselect((int)n & 63, p, NULL, p, &odd[time], NULL));
      }
      TRY(ppoll(NULL, 0, &odd[3], p));
      TRY(select((int)n & 63, p, p, p, &(struct timeval){0, 0}));
      TRY(epoll_wait(files[0], p, (int)n, 0));
      TRY(epoll_wait(-1, p, (int)n, 0));
      TRY(epoll_pwait(files[0], p, (int)n, 0, p));
      TRY(epoll_pwait2(files[0], p, (int)n, &odd[index % 4], NULL));
      if (p == NULL || place == GOOD) continue; // for ever, and long
      TRY(ppoll(NULL, 0, p, NULL));
      TRY(select(n > 9 ? -1 : 0, NULL, NULL, NULL, p));
      TRY(epoll_pwait2(files[0], (void *)places[GOOD].at, 1, p, NULL));
      fflush(stdout);
    }
}

static void *rests(void *unused) {
  pause();
  return unused;
}

int main(int argc, char **argv) {
  pthread_t thread;
  prepare();
  if (argc > 1 && strcmp(argv[1], "threads") == 0) pthread_create(&thread, NULL, rests, NULL);
  address = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  path = (struct sockaddr_un){.sun_family = AF_UNIX, .sun_path = "socket"};
  socklen_t length = sizeof address;
  listeners[0] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
  listeners[1] = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
  if (bind(listeners[0], (void *)&address, sizeof address) || listen(listeners[0], 99)) return 1;
  if (bind(listeners[1], (void *)&path, sizeof path) || listen(listeners[1], 99)) return 1;
  getsockname(listeners[0], (void *)&address, &length);
  files[0] = epoll_create1(0);
  sink = open("/dev/zero", O_RDWR);
  if (pipe2(ends, O_NONBLOCK)) return 1;
  buffers();
  overlaps();
  descriptors();
  polls();
  puts("done");
  return 0;
}
