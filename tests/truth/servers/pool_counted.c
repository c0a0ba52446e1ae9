// A reader fills a ring, and four workers wait at a count of its entries: an eventfd, or with the option
// "semaphore" a POSIX semaphore.
#include "epoll.h"
#include "ring.h"

#include <semaphore.h>
#include <sys/eventfd.h>

static int event;
static sem_t semaphore;

static void hand_over(int fd, const struct request *request) {
    unsigned long one = 1;
    put(fd, request);
    if (option("semaphore"))
        sem_post(&semaphore);
    else
        (void)!write(event, &one, sizeof one);
}

static void wait_for_one(void) {
    unsigned long one;
    if (option("semaphore"))
        while (sem_wait(&semaphore) != 0)
            ;
    else
        (void)!read(event, &one, sizeof one);
}

static void *work_on(void *unused) {
    struct entry entry;
    unsigned tail;
    for (;;) {
        wait_for_one();
        if (try_get(&entry, &tail))
            serve(entry.fd, &entry.request);
    }
    return unused;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    event = eventfd(0, EFD_CLOEXEC | EFD_SEMAPHORE);
    sem_init(&semaphore, 0, 0);
    for (int i = 0; i < 4; i++)
        start_thread(work_on, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    run_loop(hand_over, NULL);
    return finish();
}
