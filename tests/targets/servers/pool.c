// An HTTP server whose loop reads requests and hands them to four workers, which answer. What it leaves behind: endpoints.h
#include "endpoints.h"
#include "listen.h"

#include <semaphore.h>
#include <sys/epoll.h>

// A request on its way to a worker; allocated by the loop, freed by the worker.
struct job {
    struct job *next;
    struct connection *connection;
    struct request request;
};

static struct job *first, **last = &first;
static pthread_mutex_t jobs = PTHREAD_MUTEX_INITIALIZER;
static sem_t waiting;
static int loop;

static void *work(void *unused) {
    for (;;) {
        while (sem_wait(&waiting) != 0)
            ;
        pthread_mutex_lock(&jobs);
        struct job *job = first;
        first = job->next;
        if (first == NULL)
            last = &first;
        pthread_mutex_unlock(&jobs);
        struct connection *connection = job->connection;
        serve(connection, &job->request);
        free(job);
        struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = connection};
        epoll_ctl(loop, EPOLL_CTL_MOD, connection->fd, &event);
    }
    return unused;
}

static void hand_over(struct connection *connection, const struct request *request) {
    struct job *job = malloc(sizeof *job);
    *job = (struct job){.connection = connection, .request = *request};
    pthread_mutex_lock(&jobs);
    *last = job;
    last = &job->next;
    pthread_mutex_unlock(&jobs);
    sem_post(&waiting);
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    start();
    sem_init(&waiting, 0, 0);
    for (int i = 0; i < 4; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
    }
    listen_on(arguments[1]);
    loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event ready;
        if (epoll_wait(loop, &ready, 1, -1) != 1)
            continue;
        struct connection *connection = ready.data.ptr;
        if (connection == NULL) {
            int fd = next_connection();
            if (fd < 0)
                return finish();
            connection = calloc(1, sizeof *connection);
            connection->fd = fd;
            event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.ptr = connection};
            epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
            continue;
        }
        struct request request;
        if (!fill(connection)) {
            close(connection->fd);
            free(connection);
        } else if (take(connection, &request)) {
            hand_over(connection, &request);
        } else {
            event = (struct epoll_event){.events = EPOLLIN | EPOLLONESHOT, .data.ptr = connection};
            epoll_ctl(loop, EPOLL_CTL_MOD, connection->fd, &event);
        }
    }
}
