// An HTTP server with a thread for each connection. What it leaves behind: endpoints.h
#include "endpoints.h"
#include "listen.h"

static void *converse(void *argument) {
    struct connection connection = {.fd = (int)(intptr_t)argument};
    struct request request;
    while (fill(&connection))
        while (take(&connection, &request))
            serve(&connection, &request);
    close(connection.fd);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    start();
    listen_on(arguments[1]);
    pthread_attr_t detached;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    for (int fd; (fd = next_connection()) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, &detached, converse, (void *)(intptr_t)fd) != 0)
            close(fd);
    }
    return finish();
}
