// A reader, two workers and a writer, with a queue between each: the workers touch no socket.
#include "epoll.h"
#include "queue.h"

static struct queue to_work_on = QUEUE, to_write = QUEUE;

static void hand_over(int fd, const struct request *request) {
    struct job *job = malloc(sizeof *job);
    job->fd = fd;
    job->request = *request;
    put(&to_work_on, job);
}

static void *work_on(void *unused) {
    for (;;) {
        struct job *job = get(&to_work_on);
        work(&job->request);
        put(&to_write, job);
    }
    return unused;
}

static void *write_answers(void *unused) {
    for (;;) {
        struct job *job = get(&to_write);
        answer(job->fd, &job->request);
        free(job);
    }
    return unused;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    start_thread(write_answers, NULL);
    for (int i = 0; i < 2; i++)
        start_thread(work_on, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    run_loop(hand_over, NULL);
    return finish();
}
