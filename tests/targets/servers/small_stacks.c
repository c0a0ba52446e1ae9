// flags: -Wl,-z,now
// A server with a thread for each connection, on the smallest stack that a thread can have: 16 KiB, of which the C
// library takes some 4.5 for itself and a buffer 10. Each of 20 requests, from a client of its own, leaves 500 bytes.
#include <netinet/in.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { REQUESTS = 20, KEPT = 500, STACK = 16 << 10, BUFFER = 10 << 10 };

static void *volatile kept[REQUESTS];

static void *serve(void *argument) {
    static const char answer[] = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    int number = (long)argument & 0xffff, client = (long)argument >> 16;
    char buffer[BUFFER];
    memset(buffer, 0, sizeof buffer);
    if (read(client, buffer, sizeof buffer) <= 0) abort();
    kept[number] = malloc(KEPT);
    if (write(client, answer, sizeof answer - 1) < 0) abort();
    close(client);
    return NULL;
}

int main(void) {
    static const char request[] = "GET /small HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int listening = socket(AF_INET, SOCK_STREAM, 0);
    if (bind(listening, (struct sockaddr *)&address, length) != 0 || listen(listening, 3) != 0 ||
        getsockname(listening, (struct sockaddr *)&address, &length) != 0)
        return 1;
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    pthread_attr_setstacksize(&attributes, STACK);
    for (long number = 0; number < REQUESTS; number++) {
        char answer[100];
        pthread_t thread;
        int client = socket(AF_INET, SOCK_STREAM, 0);
        if (connect(client, (struct sockaddr *)&address, length) != 0 ||
            write(client, request, sizeof request - 1) < 0)
            return 2;
        long server = accept(listening, NULL, NULL);
        if (pthread_create(&thread, &attributes, serve, (void *)(server << 16 | number)) != 0)
            return 3;
        if (read(client, answer, sizeof answer) <= 0) return 4;
        pthread_join(thread, NULL);
        close(client);
    }
    return 0;
}
