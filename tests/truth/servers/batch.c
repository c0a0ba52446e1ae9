// One epoll loop that asks a backend over a socket for each request. The backend (a thread that has no memory of
// its own) answers all that it was asked within 0.2 to 1.2 milliseconds at once: the loop reads a reply, handles
// it, answers its client and goes on to the next reply. With the option "twice" a request takes two replies, and
// keeps its blocks on the first; with "bulk" the loop reads all replies that are there at once.
#include "epoll.h"

struct query {
    int fd, round;
    struct request request;
};

enum { BATCH = 64 };

static int ours, theirs; // the two ends

static void ask(int fd, const struct request *request, int round) {
    struct query query = {fd, round, *request};
    send(ours, &query, sizeof query, 0);
}

static void ask_first(int fd, const struct request *request) { ask(fd, request, 1); }

static void reply(const struct query *query) {
    if (query->round == 1) {
        use_clean();
        keep_for(&query->request);
    }
    if (query->round == 1 && option("twice"))
        ask(query->fd, &query->request, 2);
    else
        answer(query->fd, &query->request);
}

static int replied(int fd) {
    struct query replies[BATCH];
    size_t most = option("bulk") ? BATCH : 1;
    if (fd != ours)
        return 0;
    for (;;) {
        ssize_t count = recv(ours, replies, most * sizeof *replies, MSG_DONTWAIT);
        for (ssize_t i = 0; i < count / (ssize_t)sizeof *replies; i++)
            reply(&replies[i]);
        if (count <= 0)
            return 1;
    }
}

static void *answer_all(void *unused) {
    struct query queries[BATCH];
    for (;;) {
        // Waits for one, then takes those that came meanwhile, too; the last is answered first.
        ssize_t size = recv(theirs, queries, sizeof *queries, 0);
        pause_for(200 + mixed(&queries[0].request) % 1000);
        ssize_t more = recv(theirs, queries + 1, sizeof queries - sizeof *queries, MSG_DONTWAIT);
        ssize_t count = (size + (more > 0 ? more : 0)) / (ssize_t)sizeof *queries;
        for (ssize_t i = 0; i < count / 2; i++) {
            struct query other = queries[i];
            queries[i] = queries[count - 1 - i];
            queries[count - 1 - i] = other;
        }
        send(theirs, queries, (size_t)count * sizeof *queries, 0);
    }
    return unused;
}

int main(int count, char **arguments) {
    int ends[2];
    start(count, arguments);
    start_background();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        abort();
    ours = ends[0];
    theirs = ends[1];
    start_thread(answer_all, NULL);
    loop = epoll_create1(EPOLL_CLOEXEC);
    watch(ours);
    run_loop(ask_first, replied);
    return finish();
}
