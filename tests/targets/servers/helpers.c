// An HTTP server with a thread for each connection, which has each request worked out by another one that it makes
// for that and joins. What it leaves behind: endpoints.h
struct request;
static int helped(int (*handle)(const struct request *), const struct request *request);
#define RUN(handle, request) helped(handle, request)
#include "threads.c"

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
