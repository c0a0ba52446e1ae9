// A child for each connection, which answers one request and ends: what it allocates ends with it. The parent
// keeps a block for each child, for no request of its own.
#include "truth.h"

#include <sys/wait.h>

static void serve_and_end(struct connection *connection) {
    struct request request;
    if (read_request(connection, &request)) {
        use_clean();
        pause_for(50 + mixed(&request) % 200);
        answer(connection->fd, &request);
    }
    _exit(0);
}

int main(int count, char **arguments) {
    start(count, arguments);
    for (;;) {
        struct connection *connection = next_connection();
        if (connection == NULL)
            continue;
        keep_background();
        if (fork() == 0)
            serve_and_end(connection);
        close(connection->fd);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
}
