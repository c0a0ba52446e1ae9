// An epoll loop over the listener and all connections: what is done with each request is the server's.
#ifndef EPOLL_H
#define EPOLL_H

#include "truth.h"

#include <sys/epoll.h>
#include <sys/timerfd.h>

static int loop = -1;

static inline void watch(int fd) {
    struct epoll_event event;
    memset(&event, 0, sizeof event);
    event.events = EPOLLIN;
    event.data.fd = fd;
    epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
}

// A timer of the loop that expires every 2 milliseconds.
static inline int watch_timer(void) {
    struct itimerspec each = {{0, 2000000}, {0, 2000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(timer, 0, &each, NULL);
    watch(timer);
    return timer;
}

// Reads what came on a connection, and gives each whole request to `handle`.
static inline void read_ready(int fd, void (*handle)(int fd, const struct request *request)) {
    struct connection *connection = &connections[fd];
    struct request request;
    if (!fill(connection)) {
        close(fd);
        return;
    }
    while (take(connection, &request))
        handle(fd, &request);
}

// Runs the loop until main is to end. `other` gets the descriptors that are no connections, and says 1 to those.
static inline void run_loop(void (*handle)(int fd, const struct request *request), int (*other)(int fd)) {
    watch(listener);
    while (!stopped) {
        struct epoll_event events[16];
        int ready = epoll_wait(loop, events, 16, 10);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                struct connection *connection = next_connection();
                if (connection != NULL)
                    watch(connection->fd);
            } else if (other == NULL || !other(fd)) {
                read_ready(fd, handle);
            }
        }
    }
}

#endif
