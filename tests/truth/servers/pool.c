// A reader (main's epoll loop) parses heads and queues jobs; workers behind a mutex and a condition variable work
// and answer. A job is allocated by the reader and freed by its worker; with the option "ring" it is a slot of an
// array. With the option "foreign" jobs of no request are in the queue, too, and each keeps a block.
#include "epoll.h"
#include "queue.h"

enum { SLOTS = 1024 };

static struct queue jobs = QUEUE;

static struct job *new_job(void) {
    static struct job slots[SLOTS];
    static unsigned next;
    return option("ring") ? &slots[next++ % SLOTS] : malloc(sizeof(struct job));
}

static void drop_job(struct job *job) {
    if (!option("ring"))
        free(job);
}

static void hand_over(int fd, const struct request *request) {
    struct job *job = new_job();
    job->fd = fd;
    job->request = *request;
    put(&jobs, job);
}

static void *work_on(void *unused) {
    for (;;) {
        struct job *job = get(&jobs);
        if (job->fd < 0)
            keep_background();
        else
            serve(job->fd, &job->request);
        drop_job(job);
    }
    return unused;
}

static void *queue_foreign(void *unused) {
    for (;;) {
        struct job *job = malloc(sizeof *job);
        job->fd = -1;
        put(&jobs, job);
        pause_for(2000);
    }
    return unused;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_thread(option("foreign") ? queue_foreign : grow, NULL);
    for (int i = 0; i < option_number(); i++)
        start_thread(work_on, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    run_loop(hand_over, NULL);
    return finish();
}
