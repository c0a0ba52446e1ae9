// A server whose connections' threads let one helper do what is left to be done: `PROGRAM PORT`, until SIGTERM. Nothing
// proves for whom it works.
//
// endpoint: any; with ?keep, for which the helper leaves 64 bytes behind before it is answered
#include "http.h"
#include "listen.h"

#include <pthread.h>
#include <stdint.h>

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t wanted = PTHREAD_COND_INITIALIZER, done = PTHREAD_COND_INITIALIZER;
static int wants, dones;

static __attribute__((noinline)) void keep(void) {
    void *volatile kept = malloc(64);
    (void)kept;
}

static void *help(void *unused) {
    pthread_mutex_lock(&mutex);
    for (;;) {
        while (wants == 0)
            pthread_cond_wait(&wanted, &mutex);
        wants--;
        pthread_mutex_unlock(&mutex);
        keep();
        pthread_mutex_lock(&mutex);
        dones++;
        pthread_cond_broadcast(&done);
    }
    return unused;
}

static void let_keep(void) {
    pthread_mutex_lock(&mutex);
    int before = dones;
    wants++;
    pthread_cond_signal(&wanted);
    while (dones == before)
        pthread_cond_wait(&done, &mutex);
    pthread_mutex_unlock(&mutex);
}

static void *converse(void *argument) {
    struct connection connection = {.fd = (int)(intptr_t)argument};
    struct request request;
    while (fill(&connection))
        while (take(&connection, &request)) {
            if (strcmp(request.query, "keep") == 0)
                let_keep();
            answer(connection.fd, 200, "done");
        }
    close(connection.fd);
    return NULL;
}

int main(int count, char **arguments) {
    pthread_t thread;
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    if (pthread_create(&thread, NULL, help, NULL) != 0)
        return 3;
    for (int fd; (fd = next_connection()) >= 0;) {
        if (pthread_create(&thread, NULL, converse, (void *)(intptr_t)fd) != 0)
            close(fd);
        else
            pthread_detach(thread);
    }
    return 0;
}
