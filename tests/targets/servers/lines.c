// Reads lines and answers none of them: those that begin with "keep" are kept, 300 bytes each. One thread, any number
// of connections. At SIGTERM it says how many it has kept.
#include "listen.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { MOST = 16 };

static __attribute__((noinline)) void keep(const char *line) {
    char *volatile kept = malloc(300);
    snprintf(kept, 300, "%s", line);
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    struct pollfd all[MOST + 1] = {{.fd = listener, .events = POLLIN}};
    static char rest[MOST + 1][4096];
    size_t used[MOST + 1] = {0};
    unsigned connections = 0, kept = 0;
    for (;;) {
        if (poll(all, connections + 1, -1) < 0)
            continue;
        if (all[0].revents) {
            int fd = next_connection();
            if (fd < 0)
                break;
            if (connections == MOST)
                abort();
            all[++connections] = (struct pollfd){.fd = fd, .events = POLLIN};
        }
        for (unsigned i = 1; i <= connections; i++) {
            if (!all[i].revents)
                continue;
            ssize_t got = read(all[i].fd, rest[i] + used[i], sizeof rest[i] - used[i] - 1);
            if (got <= 0) {
                all[i].fd = -1;
                continue;
            }
            used[i] += (size_t)got;
            rest[i][used[i]] = 0;
            char *line = rest[i], *end;
            for (; (end = strchr(line, '\n')) != NULL; line = end + 1) {
                *end = 0;
                char *copy = strdup(line);
                if (strncmp(line, "keep", 4) == 0) {
                    keep(copy);
                    kept++;
                }
                free(copy);
            }
            used[i] = strlen(line);
            memmove(rest[i], line, used[i] + 1);
        }
    }
    char text[32];
    int size = snprintf(text, sizeof text, "%u\n", kept);
    // Without a tear-down: what is kept is kept.
    _exit(write(1, text, (size_t)size) == size ? 0 : 1);
}
