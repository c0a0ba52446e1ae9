// What the C servers share of HTTP/1.1: reading requests off a keep-alive connection, and answering.
// Nothing here allocates.
#ifndef HTTP_H
#define HTTP_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
    char method[8];
    char path[256];
    char query[256];
};

// A connection, and what was read of it and not yet taken.
struct connection {
    int fd;
    int last; // the endpoint that was answered last, plus 1
    size_t filled;
    char bytes[4096];
};

// Reads more; 0 at the end of the connection.
static int fill(struct connection *connection) {
    size_t room = sizeof connection->bytes - 1 - connection->filled;
    ssize_t count = read(connection->fd, connection->bytes + connection->filled, room);
    if (count <= 0)
        return 0;
    connection->filled += (size_t)count;
    connection->bytes[connection->filled] = 0;
    return 1;
}

// Takes the first whole request, body included; 0 where there is none yet.
static int take(struct connection *connection, struct request *request) {
    connection->bytes[connection->filled] = 0;
    char *end = strstr(connection->bytes, "\r\n\r\n");
    if (end == NULL)
        return 0;
    size_t size = (size_t)(end + 4 - connection->bytes);
    char *length = strstr(connection->bytes, "Content-Length: ");
    if (length != NULL && length < end)
        size += strtoul(length + 16, NULL, 10);
    if (connection->filled < size)
        return 0;
    memset(request, 0, sizeof *request);
    sscanf(connection->bytes, "%7s %255[^? ]?%255[^ ]", request->method, request->path, request->query);
    memmove(connection->bytes, connection->bytes + size, connection->filled - size);
    connection->filled -= size;
    return 1;
}

static void answer(int fd, int status, const char *text) {
    char out[512];
    int size = snprintf(out, sizeof out, "HTTP/1.1 %d %s\r\nContent-Length: %zu\r\nContent-Type: text/plain\r\n\r\n%s", status,
                        status == 200 ? "OK" : status == 404 ? "Not Found" : "Internal Server Error", strlen(text), text);
    for (int sent = 0; sent < size;) {
        ssize_t count = send(fd, out + sent, (size_t)(size - sent), MSG_NOSIGNAL);
        if (count <= 0)
            return;
        sent += (int)count;
    }
}

#endif
