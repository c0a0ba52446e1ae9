// A server that reads each request into a page of its own, which another thread unmaps as soon as the first byte has
// come: also before the call that reads it has returned. 1,000 requests on as many connections.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#define ROUNDS 1000
#define PAGE 4096

static char *volatile page;

static void *unmaps(void *unused) {
    for (int round = 0; round < ROUNDS; round++) {
        char *seen;
        while ((seen = page) == NULL) sched_yield();
        while (*(volatile char *)seen == 0) continue;
        munmap(seen, PAGE);
        page = NULL;
    }
    return unused;
}

static ssize_t reads(int from, int how, char *to) {
    struct iovec parts[2] = {{to, 10}, {to + 10, PAGE - 10}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    struct mmsghdr messages = {.msg_hdr = message};
    switch (how % 6) {
    case 0: return read(from, to, PAGE);
    case 1: return recv(from, to, PAGE, 0);
    case 2: return readv(from, parts, 2);
    case 3: return recvmsg(from, &message, 0);
    case 4: return recvmmsg(from, &messages, 1, 0, NULL);
    default: return recvfrom(from, to, PAGE, 0, NULL, NULL);
    }
}

int main(void) {
    static const char request[] = "GET /unmapped HTTP/1.1\r\n\r\n", answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    int listener = socket(AF_INET, SOCK_STREAM, 0), failed = 0;
    if (bind(listener, (void *)&address, size) || listen(listener, 1) || getsockname(listener, (void *)&address, &size))
        return 1;
    pthread_t thread;
    pthread_create(&thread, NULL, unmaps, NULL);
    for (int round = 0; round < ROUNDS; round++) {
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, (void *)&address, size)) return 2;
        int server = accept(listener, NULL, NULL);
        if (write(client, request, sizeof request - 1) < 0) return 3;
        char *fresh = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        page = fresh;
        failed += reads(server, round, fresh) <= 0;
        failed += write(server, answer, sizeof answer - 1) <= 0;
        while (page) sched_yield();
        close(server);
        close(client);
    }
    pthread_join(thread, NULL);
    printf("%d failed\n", failed);
    return 0;
}
