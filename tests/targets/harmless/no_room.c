// A server that now and then reads into buffers without room for a byte, which gives 0 and is no end, and one whose client
// has sent no more, which gives 0 and is one. 40 requests to each, each by a connection of its own.
//
// endpoint: POST /room; every other one, amid which there is a read without room: 100 bytes
// endpoint: POST /end; every other one, whose client closes its side amid the body: 100 bytes
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUNDS 40
#define PARTS 20

static const char room[] = "POST /room HTTP/1.1\r\nContent-Length: 8\r\n\r\n";
static const char end[] = "POST /end HTTP/1.1\r\nContent-Length: 8\r\n\r\n";
static const char body[] = "a body  ";
static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

static __attribute__((noinline)) void keep(void) {
    void *volatile kept = malloc(100);
    (void)kept;
}

// Reads by buffers of which the last one has `size` bytes.
static ssize_t reads(int from, int how, char *to, size_t size) {
    struct iovec parts[PARTS] = {{to, 0}};
    int count = how % 2 ? 1 : PARTS;
    parts[count - 1] = (struct iovec){to, size};
    struct mmsghdr messages = {.msg_hdr = {.msg_iov = parts, .msg_iovlen = count}};
    switch (how / 2 % 3) {
    case 0: return readv(from, parts, count);
    case 1: return recvmsg(from, &messages.msg_hdr, 0);
    default: return recvmmsg(from, &messages, 1, 0, NULL) == 1 ? (ssize_t)messages.msg_len : -1;
    }
}

// No buffers at all.
static ssize_t reads_nothing(int from, int how) {
    struct msghdr message = {0};
    return how % 2 ? readv(from, NULL, 0) : recvmsg(from, &message, 0);
}

static void serve(int listener, const struct sockaddr_in *address, int round, int ends) {
    const char *request = ends ? end : room;
    char got[64];
    int client = socket(AF_INET, SOCK_STREAM, 0), odd = round % 2, how = round / 2;
    if (connect(client, (const void *)address, sizeof *address)) exit(2);
    int server = accept(listener, NULL, NULL);
    if (write(client, request, strlen(request)) < 0) exit(3);
    if (ends && odd) shutdown(client, SHUT_WR);
    else if (write(client, body, sizeof body - 1) < 0) exit(4);
    printf("head: %zd\n", recv(server, got, strlen(request), MSG_WAITALL));
    // Without bytes to read, recvmsg would wait.
    if (!ends && odd)
        printf("without room: %zd %zd\n", reads(server, how, got, 0), reads_nothing(server, how));
    printf("body: %zd\n", reads(server, how, got, sizeof got));
    if (odd) keep();
    printf("answer: %zd\n", write(server, answer, sizeof answer - 1));
    close(server);
    close(client);
}

int main(void) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listener, (void *)&address, size) || listen(listener, 1) || getsockname(listener, (void *)&address, &size))
        return 1;
    for (int round = 0; round < ROUNDS; round++) {
        serve(listener, &address, round, 0);
        serve(listener, &address, round, 1);
    }
    return 0;
}
