// A server of four processes that accept connections in turn, each the next one: `PROGRAM PORT`, until SIGTERM.
//
// endpoint: /kept; of those that the second process serves, a block of 100 bytes
#include "http.h"
#include "listen.h"

#include <sys/wait.h>

#define WORKERS 4

static int turns[WORKERS][2];

static __attribute__((noinline)) void keep(void) {
    void *volatile kept = malloc(100);
    (void)kept;
}

static void converse(int fd, int leaks) {
    struct connection connection = {.fd = fd};
    struct request request;
    while (fill(&connection))
        while (take(&connection, &request)) {
            if (leaks)
                keep();
            answer(fd, 200, "done");
        }
    close(fd);
}

static void work(int own) {
    int next = (own + 1) % WORKERS;
    char turn;
    while (read(turns[own][0], &turn, 1) == 1) {
        int fd = next_connection();
        if (write(turns[next][1], &turn, 1) != 1 || fd < 0)
            return;
        converse(fd, own == 1);
    }
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    for (int worker = 0; worker < WORKERS; worker++)
        if (pipe(turns[worker]) != 0)
            return 3;
    for (int worker = 0; worker < WORKERS; worker++)
        if (fork() == 0) {
            work(worker);
            return 0;
        }
    if (write(turns[0][1], "", 1) != 1)
        return 4;
    while (wait(NULL) > 0)
        continue;
    return 0;
}
