// The endpoints of the C servers, and what each leaves behind (`each`: for each request; `all`: in all,
// after 513 to 1024 requests of the endpoint):
//
// endpoint: GET /clean; clean; 0 blocks, 0 bytes all
// endpoint: POST /clean; clean; 0 blocks, 0 bytes all
// endpoint: GET /orders/{id}/items; clean; 0 blocks, 0 bytes all
// endpoint: GET /leak; leak; 3 blocks, 1524 bytes each
// endpoint: GET /error; leak; 2 blocks, 300 bytes each 500
// endpoint: GET /cache; bounded; 16 blocks, 3200 bytes all
// endpoint: GET /warm; warm_up; 4 blocks, 4000 bytes all
// endpoint: GET /session; freed_later; 1 block, 512 bytes all
// endpoint: GET /grow; growing_buffer; 1 block, 65536 bytes all
// endpoint: GET /list; leak; 1 block, 48 bytes each
// endpoint: GET /late; clean; 0 blocks, 0 bytes all
// background: 128 bytes
#ifndef ENDPOINTS_H
#define ENDPOINTS_H

#include "http.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/resource.h>

// For a test that kills the server: in a file that outlives it (COUNTS), by endpoint. `begun` counts
// answers that were begun, which the kill may cut off or not, `ended` those after which the next request of their connection has arrived.
struct counts {
    _Atomic uint64_t begun[16], ended[16];
};
static struct counts *counts;
static pthread_mutex_t state = PTHREAD_MUTEX_INITIALIZER;

static int keep_clean(const struct request *request) {
    char *copy = strdup(request->path);
    char *room = calloc(1, 4000);
    room = realloc(room, 8000);
    free(copy);
    free(room);
    return 200;
}

static __attribute__((noinline)) void leave_three(void) {
    void *volatile left = malloc(1000);
    left = calloc(4, 6);
    left = realloc(malloc(100), 500);
    (void)left;
}

static int leave(const struct request *request) {
    keep_clean(request);
    leave_three();
    return 200;
}

static int fail(const struct request *request) {
    char *first = malloc(100), *second = malloc(200);
    if (strstr(request->query, "fail"))
        return 500; // and forgets both
    free(first);
    free(second);
    return 200;
}

static int cache(const struct request *request) {
    static void *entries[16];
    static unsigned next;
    (void)request;
    pthread_mutex_lock(&state);
    void **entry = &entries[next++ % 16];
    free(*entry);
    *entry = malloc(200);
    pthread_mutex_unlock(&state);
    return 200;
}

static int warm(const struct request *request) {
    static void *pool[4];
    static unsigned filled;
    (void)request;
    pthread_mutex_lock(&state);
    if (filled < 4 && pool[filled] == NULL)
        pool[filled++] = malloc(1000);
    pthread_mutex_unlock(&state);
    return 200;
}

static int session(const struct request *request) {
    static void *last;
    (void)request;
    pthread_mutex_lock(&state);
    free(last);
    last = malloc(512);
    pthread_mutex_unlock(&state);
    return 200;
}

static int grow(const struct request *request) {
    static char *buffer;
    static size_t used, room = 32;
    (void)request;
    pthread_mutex_lock(&state);
    while (used + 64 > room || buffer == NULL)
        buffer = realloc(buffer, room *= 2);
    memset(buffer + used, 'x', 64);
    used += 64;
    pthread_mutex_unlock(&state);
    return 200;
}

struct node {
    struct node *next;
    char rest[40];
};
static struct node *list;

static int listed(const struct request *request) {
    (void)request;
    struct node *node = malloc(sizeof *node);
    pthread_mutex_lock(&state);
    node->next = list;
    list = node;
    pthread_mutex_unlock(&state);
    return 200;
}

static const struct {
    const char *path;
    int (*handle)(const struct request *request);
} endpoints[] = {{"/clean", keep_clean}, {"/orders/", keep_clean}, {"/leak", leave},     {"/error", fail},
                 {"/cache", cache},      {"/warm", warm},          {"/session", session}, {"/grow", grow},
                 {"/list", listed},      {"/late", NULL},          {"/hello", keep_clean}};
enum { ENDPOINTS = sizeof endpoints / sizeof *endpoints };

// How a server runs what an endpoint does.
#ifndef RUN
#define RUN(handle, request) handle(request)
#endif

// Serves one request of `connection`.
static void serve(struct connection *connection, const struct request *request) {
    if (counts && connection->last)
        counts->ended[connection->last - 1]++;
    connection->last = 0;
    int found = 0;
    while (found < ENDPOINTS && strncmp(request->path, endpoints[found].path, strlen(endpoints[found].path)) != 0)
        found++;
    if (counts && found < ENDPOINTS)
        counts->begun[found]++;
    if (found == ENDPOINTS) {
        answer(connection->fd, 404, "no such endpoint");
    } else if (endpoints[found].handle == NULL) {
        void *buffer = malloc(3000);
        answer(connection->fd, 200, "freed after this");
        free(buffer);
    } else {
        int status = RUN(endpoints[found].handle, request);
        answer(connection->fd, status, request->path);
    }
    connection->last = found < ENDPOINTS ? found + 1 : 0;
}

static atomic_int stopped;
static unsigned grown;

// Grows outside every request.
static void *background(void *kept) {
    setpriority(PRIO_PROCESS, 0, -20); // this thread's: it keeps its pace beside other tests, where we may
    while (!stopped) {
        void **block = malloc(128);
        *block = kept;
        kept = block;
        grown++;
        usleep(2000);
    }
    return kept;
}

static pthread_t background_thread;

// Before the server listens.
static void start(void) {
    const char *path = getenv("COUNTS");
    if (path) {
        int fd = open(path, O_RDWR | O_CREAT, 0666);
        if (fd < 0 || ftruncate(fd, sizeof *counts) != 0)
            abort();
        counts = mmap(NULL, sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
        close(fd);
    }
    pthread_create(&background_thread, NULL, background, NULL);
}

// After it has stopped: frees the list and says how far the background grew.
static int finish(void) {
    stopped = 1;
    pthread_join(background_thread, NULL);
    while (list) {
        struct node *next = list->next;
        free(list);
        list = next;
    }
    char line[64];
    int size = snprintf(line, sizeof line, "background %u\n", grown);
    return write(1, line, (size_t)size) == size ? 0 : 1;
}

#endif
