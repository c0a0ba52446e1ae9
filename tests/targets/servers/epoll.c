// An HTTP server with one epoll loop over all of its connections. What it leaves behind: endpoints.h
#include "endpoints.h"
#include "listen.h"

#include <sys/epoll.h>

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    start();
    listen_on(arguments[1]);
    int loop = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(loop, EPOLL_CTL_ADD, listener, &event);
    for (;;) {
        struct epoll_event events[16];
        int ready = epoll_wait(loop, events, 16, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *connection = events[i].data.ptr;
            if (connection == NULL) {
                int fd = next_connection();
                if (fd < 0)
                    return finish();
                connection = calloc(1, sizeof *connection);
                connection->fd = fd;
                event.data.ptr = connection;
                epoll_ctl(loop, EPOLL_CTL_ADD, fd, &event);
                continue;
            }
            struct request request;
            if (!fill(connection)) {
                close(connection->fd);
                free(connection);
                continue;
            }
            while (take(connection, &request))
                serve(connection, &request);
        }
    }
}
