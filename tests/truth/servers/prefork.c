// Four forked workers that accept by themselves, a request for each connection. With the option "recycle-exit" or
// "recycle-_exit" a worker ends after 50 requests, by the function of that name, and another takes its place.
#include "truth.h"

#include <sys/prctl.h>
#include <sys/wait.h>

static void end_worker(void) {
    if (option("recycle-_exit"))
        _exit(0);
    exit(0);
}

static void accept_and_serve(void) {
    int recycles = option("recycle-exit") || option("recycle-_exit");
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    start_background();
    for (int served = 0; !recycles || served < 50;) {
        struct connection *connection = next_connection();
        struct request request;
        if (connection == NULL)
            continue;
        if (read_request(connection, &request)) {
            serve(connection->fd, &request);
            served++;
        }
        close(connection->fd);
    }
    end_worker();
}

int main(int count, char **arguments) {
    start(count, arguments);
    for (int workers = 0;; workers++) {
        if (workers >= 4)
            wait(NULL);
        if (fork() == 0)
            accept_and_serve();
    }
}
