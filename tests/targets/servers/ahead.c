// A thread for each connection, which makes the next request's memory before it reads it, as many servers do. A
// request of /leak keeps its own; those of other paths free it.
#include "http.h"
#include "listen.h"
#include <pthread.h>
#include <stdint.h>

struct job {
    struct request request;
    struct job *next;
};

static struct job *kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static struct job *new_job(void) { return calloc(1, sizeof(struct job)); }

static void keep(struct job *job) {
    pthread_mutex_lock(&lock);
    job->next = kept;
    kept = job;
    pthread_mutex_unlock(&lock);
}

static void *converse(void *argument) {
    struct connection connection = {.fd = (int)(intptr_t)argument};
    for (int open = 1; open;) {
        struct job *job = new_job();
        while (!take(&connection, &job->request) && (open = fill(&connection)))
            ;
        if (open)
            answer(connection.fd, 200, "ok");
        if (open && strcmp(job->request.path, "/leak") == 0)
            keep(job);
        else
            free(job);
    }
    close(connection.fd);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    for (int fd; (fd = next_connection()) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) != 0)
            return 1;
        pthread_detach(thread);
    }
    return 0;
}
