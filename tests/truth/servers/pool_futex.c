// A reader fills a ring, and four workers wait for it by the futex system call alone.
#include "epoll.h"
#include "ring.h"

#include <linux/futex.h>
#include <sys/syscall.h>

static void hand_over(int fd, const struct request *request) {
    put(fd, request);
    syscall(SYS_futex, &ring_tail, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
}

static void *work_on(void *unused) {
    struct entry entry;
    unsigned tail;
    for (;;) {
        if (try_get(&entry, &tail))
            serve(entry.fd, &entry.request);
        else
            syscall(SYS_futex, &ring_tail, FUTEX_WAIT_PRIVATE, tail, NULL, NULL, 0);
    }
    return unused;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    for (int i = 0; i < 4; i++)
        start_thread(work_on, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    run_loop(hand_over, NULL);
    return finish();
}
