// A server that makes the next request's memory before it reads that, as many do: a thread for each connection, or with
// the option "loop" one thread for all. A request of /leak keeps its own; those of other paths free it.
#include "http.h"
#include "listen.h"
#include <pthread.h>
#include <stdint.h>
#include <sys/epoll.h>

struct job {
    struct request request;
    struct job *next;
};

enum { CONNECTIONS = 1024 };

static struct connection connections[CONNECTIONS]; // by descriptor
static struct job *jobs[CONNECTIONS];              // the same
static struct job *kept;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

__attribute__((noinline)) static struct job *new_job(void) { return calloc(1, sizeof(struct job)); }

static void begin(int fd) {
    if (fd >= CONNECTIONS)
        abort();
    connections[fd].fd = fd;
    connections[fd].filled = 0;
}

static void keep(struct job *job) {
    pthread_mutex_lock(&lock);
    job->next = kept;
    kept = job;
    pthread_mutex_unlock(&lock);
}

// Reads, and answers what is there, each request with memory that was there before; 0 at the end of the connection.
static int serve(int fd) {
    for (int filled = 0;;) {
        if (jobs[fd] == NULL)
            jobs[fd] = new_job();
        struct job *job = jobs[fd];
        if (take(&connections[fd], &job->request)) {
            answer(fd, 200, "ok");
            if (strcmp(job->request.path, "/leak") == 0)
                keep(job);
            else
                free(job);
            jobs[fd] = NULL;
        } else if (filled) {
            return 1;
        } else if (!fill(&connections[fd])) {
            free(job);
            jobs[fd] = NULL;
            close(fd);
            return 0;
        } else {
            filled = 1;
        }
    }
}

static void *converse(void *argument) {
    int fd = (int)(intptr_t)argument;
    begin(fd);
    while (serve(fd))
        ;
    return NULL;
}

static int run_loop(void) {
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event ready[64], event = {.events = EPOLLIN, .data.fd = listener};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        int count = epoll_wait(loop, ready, 64, -1);
        for (int i = 0; i < count; i++) {
            int fd = ready[i].data.fd;
            if (fd != listener) {
                serve(fd);
                continue;
            }
            if ((fd = next_connection()) < 0)
                return 0;
            begin(fd);
            event.data.fd = fd;
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
        }
    }
}

int main(int count, char **arguments) {
    if (count < 2)
        return 2;
    listen_on(arguments[1]);
    if (count > 2)
        return run_loop();
    for (int fd; (fd = next_connection()) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) != 0)
            return 1;
        pthread_detach(thread);
    }
    return 0;
}
