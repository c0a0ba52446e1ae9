// One epoll loop. GET /stream is answered for ever; POST /publish is answered first, then keeps its blocks, then
// writes to all streams.
#include "epoll.h"

static int streams[CONNECTIONS], stream_count;

static void publish(int fd, const struct request *request) {
    use_clean();
    answer(fd, request);
    keep_publish();
    for (int i = 0; i < stream_count; i++)
        send_all(streams[i], "4\r\nnews\r\n");
}

static void handle(int fd, const struct request *request) {
    if (request->kind == STREAM && stream_count < CONNECTIONS) {
        streams[stream_count++] = fd;
        send_all(fd, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    } else if (request->kind == PUBLISH) {
        publish(fd, request);
    } else {
        serve(fd, request);
    }
}

int main(int count, char **arguments) {
    start(count, arguments);
    start_background();
    loop = epoll_create1(EPOLL_CLOEXEC);
    run_loop(handle, NULL);
    return finish();
}
