// Leaks sometimes, at each endpoint by one thing that is known of a request. Each leak is a block of 64 bytes, forgotten.
//
// endpoint: /first; the first request of its connection
// endpoint: /third; the third of its connection
// endpoint: /item/{id}/x; where the id is 7
// endpoint: /upload; with a body of 1,000 bytes or more
// endpoint: /answer; with ?big, where the answer has 50,000 bytes more
// endpoint: /crowd; with ?late, which lets a request be answered that is in flight, /crowd?wait
// endpoint: /slow; with ?slow, which takes 100 ms and more
// endpoint: /status; with ?fail, answered 500
// endpoint: /gone; where the client is gone before its whole body has come
// endpoint: /silent; with ?fail, never answered: the server closes
// endpoint: /hour; with ?keep, which is answered as all others
#include "http.h"

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "listen.h"

static char big[50000];
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t late = PTHREAD_COND_INITIALIZER;
static int lates;

// One function for each: a call site of its own.
#define KEEP(name)                                                                                                     \
    static __attribute__((noinline)) void keep_##name(void) {                                                          \
        void *volatile kept = malloc(64);                                                                              \
        (void)kept;                                                                                                    \
    }
KEEP(first)
KEEP(third)
KEEP(item)
KEEP(upload)
KEEP(answer)
KEEP(crowd)
KEEP(slow)
KEEP(status)
KEEP(gone)
KEEP(silent)
KEEP(hour)

static int is(const struct request *request, const char *path) { return strcmp(request->path, path) == 0; }
static int has(const struct request *request, const char *query) { return strcmp(request->query, query) == 0; }

// A request that waits is answered.
static void let_go(void) {
    pthread_mutex_lock(&mutex);
    lates++;
    pthread_cond_signal(&late);
    pthread_mutex_unlock(&mutex);
}

// Tells the client that its head was read, and waits.
static void wait_for_late(int fd) {
    static const char head[] = "HTTP/1.1 100 Continue\r\n\r\n";
    send(fd, head, sizeof head - 1, MSG_NOSIGNAL);
    pthread_mutex_lock(&mutex);
    while (lates == 0)
        pthread_cond_wait(&late, &mutex);
    lates--;
    pthread_mutex_unlock(&mutex);
}

static void answer_much(int fd) {
    char head[100];
    int size = snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", sizeof big);
    send(fd, head, (size_t)size, MSG_NOSIGNAL | MSG_MORE);
    for (size_t sent = 0; sent < sizeof big;) {
        ssize_t count = send(fd, big + sent, sizeof big - sent, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        sent += (size_t)count;
    }
}

// Whether the connection goes on.
static int serve(struct connection *connection, const struct request *request, int number, size_t size) {
    int fd = connection->fd;
    if (is(request, "/first") && number == 1)
        keep_first();
    if (is(request, "/third") && number == 3)
        keep_third();
    if (is(request, "/item/7/x"))
        keep_item();
    if (is(request, "/upload") && size >= 1000)
        keep_upload();
    if (is(request, "/answer") && has(request, "big")) {
        keep_answer();
        answer_much(fd);
        return 1;
    }
    if (is(request, "/crowd") && has(request, "late")) {
        keep_crowd();
        let_go();
    }
    if (is(request, "/crowd") && has(request, "wait"))
        wait_for_late(fd);
    if (is(request, "/slow") && has(request, "slow")) {
        keep_slow();
        nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    }
    if (is(request, "/status") && has(request, "fail")) {
        keep_status();
        answer(fd, 500, "failed");
        return 1;
    }
    if (is(request, "/hour") && has(request, "keep"))
        keep_hour();
    if (is(request, "/silent") && has(request, "fail")) {
        keep_silent();
        return 0;
    }
    answer(fd, 200, "done");
    return 1;
}

static void *converse(void *argument) {
    struct connection connection = {.fd = (int)(intptr_t)argument};
    struct request request;
    int goes_on = 1;
    for (int number = 1; goes_on && fill(&connection);)
        for (size_t size = connection.filled; goes_on && take(&connection, &request); number++)
            goes_on = serve(&connection, &request, number, size - connection.filled);
    if (connection.filled >= 10 && memcmp(connection.bytes, "POST /gone", 10) == 0)
        keep_gone();
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
