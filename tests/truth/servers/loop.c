// One thread and one epoll loop: a request is read, worked for and answered before the next event is looked at.
// With the option "timer" it is a timer of the loop, else another thread, that keeps blocks for no request.
#include "epoll.h"

static int timer = -1;

static int expired(int fd) {
    unsigned long times;
    if (fd != timer)
        return 0;
    if (read(timer, &times, sizeof times) == sizeof times)
        keep_background();
    return 1;
}

int main(int count, char **arguments) {
    start(count, arguments);
    loop = epoll_create1(EPOLL_CLOEXEC);
    if (option("timer"))
        timer = watch_timer();
    else
        start_background();
    run_loop(serve, expired);
    return finish();
}
