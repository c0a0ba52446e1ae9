// A thread for each connection hands its work to one worker thread, and waits until it is done: the worker
// touches no socket, and the threads that do keep nothing.
#include "queue.h"

static struct queue jobs = QUEUE;
static pthread_mutex_t results = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t done = PTHREAD_COND_INITIALIZER;

static void *work_on(void *unused) {
    for (;;) {
        struct job *job = get(&jobs);
        work(&job->request);
        pthread_mutex_lock(&results);
        job->done = 1;
        pthread_cond_broadcast(&done);
        pthread_mutex_unlock(&results);
    }
    return unused;
}

static void have_done(const struct request *request) {
    struct job job = {NULL, 0, 0, *request};
    put(&jobs, &job);
    pthread_mutex_lock(&results);
    while (!job.done)
        pthread_cond_wait(&done, &results);
    pthread_mutex_unlock(&results);
}

static void *converse(void *argument) {
    struct connection *connection = (struct connection *)argument;
    struct request request;
    while (read_request(connection, &request)) {
        have_done(&request);
        answer(connection->fd, &request);
    }
    close(connection->fd);
    return NULL;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    start_thread(work_on, NULL);
    for (;;) {
        struct connection *connection = next_connection();
        if (connection != NULL)
            start_thread(converse, connection);
    }
}
