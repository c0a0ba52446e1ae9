// What the servers of the truth lab share: the endpoints and what each keeps, HTTP/1.1, listening, passing time.
// Nothing here allocates but keep_* and use_clean, by whose names the report's call sites are found. What is
// kept depends on the number in the path alone, so that the driver knows it without asking.
#ifndef TRUTH_H
#define TRUTH_H

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

// A function that has a frame of its own under its own name.
#define FRAME __attribute__((noinline, noclone, unused)) static

enum kind { CLEAN, LEAK, STATUS, TENTH, BOUNDED, WARM, SHARED_A, SHARED_B, PUBLISH, STREAM, UNKNOWN };

static const char *const names[UNKNOWN] = {"clean", "leak", "status", "tenth", "bounded", "warm", "shared-a", "shared-b", "publish", "stream"};

struct request {
    enum kind kind;
    unsigned long number;
};

// A connection, and what was read of it and not yet taken.
struct connection {
    int fd;
    size_t filled;
    char bytes[1024];
};

enum { CONNECTIONS = 1024 };

static struct connection connections[CONNECTIONS]; // by descriptor
static int listener = -1;
static int option_count;
static char **options;

// Whether the word is among the options after the port.
static inline int option(const char *word) {
    for (int i = 2; i < option_count; i++)
        if (strcmp(options[i], word) == 0)
            return 1;
    return 0;
}

// The first option, a number.
static inline int option_number(void) { return option_count > 2 ? atoi(options[2]) : 1; }

// ---- what is kept

static void *volatile kept;

// Keeps a block for ever.
static inline __attribute__((always_inline)) void keep(size_t size) {
    void **block = (void **)malloc(size);
    *block = __atomic_exchange_n(&kept, (void *)block, __ATOMIC_RELAXED);
}

FRAME void keep_leak(void) {
    keep(1001);
    keep(1002);
    keep(1003);
}

FRAME void keep_status(void) {
    keep(1101);
    keep(1102);
    keep(1103);
}

FRAME void keep_tenth(void) {
    keep(1201);
    keep(1202);
    keep(1203);
}

FRAME void keep_bounded(unsigned long number) {
    static void *volatile ring[16];
    void *block = malloc(1301);
    free(__atomic_exchange_n(&ring[number % 16], block, __ATOMIC_ACQ_REL));
}

FRAME void keep_warm(void) { keep(1401); }

FRAME void keep_shared(int count) {
    for (int i = 0; i < count; i++)
        keep(1501);
}

FRAME void keep_background(void) { keep(1601); }

FRAME void keep_publish(void) {
    keep(1701);
    keep(1702);
    keep(1703);
}

FRAME void use_clean(void) {
    void *first = malloc(901), *second = malloc(902), *third = malloc(903);
    free(first);
    free(second);
    free(third);
}

// Keeps what the request is to keep.
static inline void keep_for(const struct request *request) {
    unsigned long number = request->number;
    int shares = request->kind == SHARED_A ? 1 : request->kind == SHARED_B ? 2 : 0;
    if (request->kind == LEAK)
        keep_leak();
    if (request->kind == STATUS && number % 4 == 3)
        keep_status();
    if (request->kind == TENTH && number % 10 == 0)
        keep_tenth();
    if (request->kind == BOUNDED)
        keep_bounded(number);
    if (request->kind == WARM && number < 5)
        keep_warm();
    if (shares > 0)
        keep_shared(shares); // both through this one call
    if (request->kind == PUBLISH)
        keep_publish();
}

// ---- passing time

static inline void pause_for(unsigned long microseconds) {
    struct timespec time = {(time_t)(microseconds / 1000000), (long)(microseconds % 1000000) * 1000};
    nanosleep(&time, NULL);
}

// A number that looks random and is the request's own.
static inline unsigned long mixed(const struct request *request) {
    unsigned long value = (request->number * 16 + request->kind + 1) * 0x9E3779B97F4A7C15;
    value = (value ^ value >> 30) * 0xBF58476D1CE4E5B9;
    return value ^ value >> 31;
}

// ---- HTTP/1.1

static inline struct request parsed(const char *head) {
    struct request request = {UNKNOWN, 0};
    const char *name = strchr(head, '/');
    if (name == NULL)
        return request;
    size_t length = strcspn(++name, "/ ");
    for (int kind = 0; kind < UNKNOWN; kind++)
        if (strlen(names[kind]) == length && memcmp(names[kind], name, length) == 0)
            request.kind = (enum kind)kind;
    if (name[length] == '/')
        request.number = strtoul(name + length + 1, NULL, 10);
    return request;
}

// Reads more; 0 at the end of the connection.
static inline int fill(struct connection *connection) {
    ssize_t count = read(connection->fd, connection->bytes + connection->filled, sizeof connection->bytes - 1 - connection->filled);
    if (count <= 0)
        return 0;
    connection->filled += (size_t)count;
    return 1;
}

// Takes the first whole request (none has a body); 0 where there is none yet.
static inline int take(struct connection *connection, struct request *request) {
    connection->bytes[connection->filled] = 0;
    char *end = strstr(connection->bytes, "\r\n\r\n");
    if (end == NULL)
        return 0;
    *request = parsed(connection->bytes);
    size_t size = (size_t)(end + 4 - connection->bytes);
    connection->filled -= size;
    memmove(connection->bytes, end + 4, connection->filled);
    return 1;
}

// Reads until a request is whole; 0 at the end of the connection.
static inline int read_request(struct connection *connection, struct request *request) {
    while (!take(connection, request))
        if (!fill(connection))
            return 0;
    return 1;
}

static inline void send_all(int fd, const char *text) { (void)!send(fd, text, strlen(text), MSG_NOSIGNAL); }

static inline void answer(int fd, const struct request *request) {
    if (request->kind == UNKNOWN)
        send_all(fd, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno");
    else if (request->kind == STATUS && request->number % 4 == 3)
        send_all(fd, "HTTP/1.1 500 Internal Server Error\r\nContent-Length: 2\r\n\r\nno");
    else
        send_all(fd, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok");
}

// Does a request's work for 50 to 250 microseconds, and keeps its blocks somewhere within.
static inline void work(const struct request *request) {
    unsigned long time = 50 + mixed(request) % 200, before = (mixed(request) >> 16) % time;
    use_clean();
    pause_for(before);
    keep_for(request);
    pause_for(time - before);
}

// Works and answers; with the option "tail" the blocks are kept after the answer, as an access log's are.
static inline void serve(int fd, const struct request *request) {
    if (!option("tail")) {
        work(request);
        answer(fd, request);
        return;
    }
    use_clean();
    pause_for(50 + mixed(request) % 200);
    answer(fd, request);
    pause_for(20);
    keep_for(request);
}

// ---- starting and stopping

static volatile sig_atomic_t stopped;

static inline void note_stop(int number) {
    (void)number;
    stopped = 1;
}

// How main ends once it was told to: only with the option "return" or "exit"; else SIGTERM ends the program.
static inline int finish(void) {
    if (option("exit"))
        exit(0);
    return 0;
}

// Listens on 127.0.0.1, on the port in the first argument.
static inline void start(int count, char **arguments) {
    option_count = count;
    options = arguments;
    signal(SIGPIPE, SIG_IGN);
    if (option("return") || option("exit")) {
        struct sigaction action;
        memset(&action, 0, sizeof action);
        action.sa_handler = note_stop;
        sigaction(SIGTERM, &action, NULL);
    }
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons((unsigned short)atoi(count > 1 ? arguments[1] : "0"));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 512) != 0)
        abort();
}

// The next connection; NULL where accept failed.
static inline struct connection *next_connection(void) {
    int on = 1, fd = accept(listener, NULL, NULL);
    if (fd < 0 || fd >= CONNECTIONS)
        return NULL;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    connections[fd].fd = fd;
    connections[fd].filled = 0;
    return &connections[fd];
}

static inline void start_thread(void *(*run)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument) != 0)
        abort();
    pthread_detach(thread);
}

static inline void *grow(void *unused) {
    for (;;) {
        keep_background();
        pause_for(2000);
    }
    return unused;
}

// A thread that keeps a block every 2 milliseconds, for no request.
static inline void start_background(void) { start_thread(grow, NULL); }

#endif
