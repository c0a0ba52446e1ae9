// An HTTP server whose requests are tasks: two threads poll whichever is ready, three times for each request, and each
// poll may be on another thread. The function that polls is named as tokio's are.
//
// endpoint: /leak; 40 bytes in a block of its own; /clean; nothing
#include "http.h"
#include "listen.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/epoll.h>

enum state { READS, WORKS, ANSWERS };

struct task {
    struct connection connection;
    struct task *next;
    enum state state;
    struct request request;
};

static struct task *first, **last = &first;
static pthread_mutex_t tasks = PTHREAD_MUTEX_INITIALIZER;
static sem_t ready;
static int loop;

static void is_ready(struct task *task) {
    task->next = NULL;
    pthread_mutex_lock(&tasks);
    *last = task;
    last = &task->next;
    pthread_mutex_unlock(&tasks);
    sem_post(&ready);
}

static struct task *next_ready(void) {
    while (sem_wait(&ready) != 0)
        ;
    pthread_mutex_lock(&tasks);
    struct task *task = first;
    first = task->next;
    if (first == NULL)
        last = &first;
    pthread_mutex_unlock(&tasks);
    return task;
}

static void wait_for_more(struct task *task, int how) {
    struct epoll_event event = {.events = EPOLLIN | EPOLLONESHOT, .data.ptr = task};
    epoll_ctl(loop, how, task->connection.fd, &event);
}

static __attribute__((noinline)) void keep(void) {
    void *volatile kept = malloc(40);
    (void)kept;
}

// Runs the task up to its next wait.
__attribute__((noinline)) void _ZN5tokio7runtime4task3raw4poll17h0123456789abcdefE(struct task *task) {
    switch (task->state) {
    case READS:
        if (!fill(&task->connection)) {
            close(task->connection.fd);
            free(task);
        } else if (take(&task->connection, &task->request)) {
            task->state = WORKS;
            is_ready(task);
        } else {
            wait_for_more(task, EPOLL_CTL_MOD);
        }
        return;
    case WORKS:
        if (strcmp(task->request.path, "/leak") == 0)
            keep();
        task->state = ANSWERS;
        is_ready(task);
        return;
    case ANSWERS:
        answer(task->connection.fd, 200, "ok");
        task->state = READS;
        wait_for_more(task, EPOLL_CTL_MOD);
        return;
    }
}

static void (*volatile poll_task)(struct task *) = _ZN5tokio7runtime4task3raw4poll17h0123456789abcdefE;

static void *work(void *unused) {
    for (;;)
        poll_task(next_ready());
    return unused;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    sem_init(&ready, 0, 0);
    for (int i = 0; i < 2; i++) {
        pthread_t thread;
        pthread_create(&thread, NULL, work, NULL);
    }
    listen_on(arguments[1]);
    loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        if (epoll_wait(loop, &event, 1, -1) != 1)
            continue;
        if (event.data.ptr != NULL) {
            is_ready(event.data.ptr);
            continue;
        }
        int fd = next_connection();
        if (fd < 0)
            return 0;
        struct task *task = calloc(1, sizeof *task);
        task->connection.fd = fd;
        wait_for_more(task, EPOLL_CTL_ADD);
    }
}
