// An HTTP server with a thread for each connection, which has each request worked out by another one that it makes
// for that and joins. What it leaves behind: endpoints.h
struct request;
static int helped(int (*handle)(const struct request *), const struct request *request);
#define RUN(handle, request) helped(handle, request)
#include "endpoints.h"
#include "listen.h"

struct work {
    int (*handle)(const struct request *);
    const struct request *request;
    int status;
};

static void *run(void *argument) {
    struct work *work = argument;
    work->status = work->handle(work->request);
    return NULL;
}

static int helped(int (*handle)(const struct request *), const struct request *request) {
    struct work work = {.handle = handle, .request = request};
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, &work) != 0)
        abort();
    pthread_join(thread, NULL);
    return work.status;
}

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
