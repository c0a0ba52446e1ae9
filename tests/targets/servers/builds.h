// A server in two builds, `before.c` and `after.c`; what each request leaves behind in them, for good:
//
// endpoint: /fixed; 300 bytes; nothing
// endpoint: /added; nothing; 500 bytes
// endpoint: /same; 48 bytes; 48 bytes
// endpoint: /worse; 100 bytes; 250 bytes
// endpoint: /better; 400 bytes; 100 bytes
// endpoint: /sometimes; with ?fail 700 bytes and status 500, else nothing; the same
// endpoint: /rare; 64 bytes; nothing
// endpoint: /moved; 80 bytes from keep_moved called by serve_moved; the same, and another function between them
// endpoint: /clean; nothing; nothing
#ifndef BUILDS_H
#define BUILDS_H

#include "http.h"

#include <pthread.h>
#include <stdint.h>


#include "listen.h"

#ifdef AFTER
// Lines and addresses are others than before.
static __attribute__((noinline)) int more(int value) { return value * 7 + 1; }
#else
static __attribute__((noinline)) int more(int value) { return value; }
#endif

// Each in a function of its own; the pointer is forgotten.
#define KEEP(name)                                                                                                      \
    static __attribute__((noinline)) void keep_##name(size_t size) {                                                    \
        void *volatile kept = malloc(size);                                                                             \
        (void)kept;                                                                                                     \
    }
KEEP(same)
KEEP(worse)
KEEP(better)
KEEP(sometimes)
KEEP(moved)

static __attribute__((noinline)) void use(size_t size) {
    void *volatile used = malloc(size);
    free(used);
}

#ifdef AFTER
KEEP(added)
static __attribute__((noinline)) void between(void) {
    keep_moved(80);
    use(1);
}
#else
KEEP(fixed)
KEEP(rare)
#endif

static __attribute__((noinline)) void serve_moved(void) {
#ifdef AFTER
    between();
#else
    keep_moved(80);
#endif
    use(1);
}

static int status_of(const struct request *request) {
    const char *path = request->path;
    use(more(100));
#ifdef AFTER
    if (strcmp(path, "/added") == 0)
        keep_added(500);
#else
    if (strcmp(path, "/fixed") == 0)
        keep_fixed(300);
    if (strcmp(path, "/rare") == 0)
        keep_rare(64);
#endif
    if (strcmp(path, "/same") == 0)
        keep_same(48);
#ifdef AFTER
    if (strcmp(path, "/worse") == 0)
        keep_worse(250);
    if (strcmp(path, "/better") == 0)
        keep_better(100);
#else
    if (strcmp(path, "/worse") == 0)
        keep_worse(100);
    if (strcmp(path, "/better") == 0)
        keep_better(400);
#endif
    if (strcmp(path, "/moved") == 0)
        serve_moved();
    if (strcmp(path, "/sometimes") == 0 && strstr(request->query, "fail")) {
        keep_sometimes(700);
        return 500;
    }
    return 200;
}

static void *converse(void *argument) {
    struct connection connection = {.fd = (int)(intptr_t)argument};
    struct request request;
    while (fill(&connection))
        while (take(&connection, &request))
            answer(connection.fd, status_of(&request), request.path);
    close(connection.fd);
    return NULL;
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    for (int fd; (fd = next_connection()) >= 0;) {
        pthread_t thread;
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) != 0)
            close(fd);
        else
            pthread_detach(thread);
    }
    return 0;
}

#endif
