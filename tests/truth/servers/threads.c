// A thread for each connection. With the option "once" it answers one request, closes and ends.
#include "truth.h"

static void *converse(void *argument) {
    struct connection *connection = (struct connection *)argument;
    struct request request;
    while (read_request(connection, &request)) {
        serve(connection->fd, &request);
        if (option("once"))
            break;
    }
    close(connection->fd);
    return NULL;
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    for (;;) {
        struct connection *connection = next_connection();
        if (connection != NULL)
            start_thread(converse, connection);
    }
}
