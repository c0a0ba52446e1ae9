// Forks a child for each connection, which answers one request and ends. The parent keeps 500 bytes of each for ever,
// or with `ring` of the newest 16.
#include "http.h"
#include "listen.h"

#include <sys/wait.h>

static __attribute__((noinline)) void remember(char **place) {
    free(*place);
    *place = malloc(500);
    **place = 1;
}

int main(int count, char **arguments) {
    if (count < 2)
        return 2;
    listen_on(arguments[1]);
    static char *places[4096];
    unsigned most = count > 2 ? 16 : 4096, next = 0;
    for (int fd; (fd = next_connection()) >= 0;) {
        if (next == 4096)
            abort();
        remember(&places[next++ % most]);
        if (fork() == 0) {
            struct connection connection = {.fd = fd};
            struct request request;
            if (fill(&connection) && take(&connection, &request))
                answer(fd, 200, "done");
            _exit(0);
        }
        close(fd);
        while (waitpid(-1, NULL, WNOHANG) > 0)
            ;
    }
    _exit(0);
}
