// A C++ HTTP server with a thread for each connection, whose handlers throw. What it leaves behind (as in endpoints.h):
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
#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

int listener;
std::mutex state;
std::atomic<bool> stopped{false};

struct Node {
    Node *next;
    std::array<char, 40> rest;
};
Node *list;

struct Failure : std::runtime_error {
    using std::runtime_error::runtime_error;
};

void leave_three() {
    new char[1000];
    new std::array<long, 3>;
    new char[500];
}

__attribute__((noinline)) void descend(int levels, const std::string &reason) {
    std::string local = reason + " at a depth of " + std::to_string(levels);
    if (levels == 0)
        throw Failure(local);
    descend(levels - 1, local);
}

void fail(const std::string &query) {
    char *first = new char[100], *second = new char[200];
    if (query.find("fail") != std::string::npos)
        descend(10, "what was allocated above is forgotten"); // no destructor knows it
    delete[] first;
    delete[] second;
}

void cache() {
    static std::array<std::unique_ptr<std::array<char, 200>>, 16> entries;
    static unsigned next;
    std::lock_guard<std::mutex> guard(state);
    auto &entry = entries[next++ % 16];
    entry.reset();
    entry = std::make_unique<std::array<char, 200>>();
}

void warm() {
    static std::array<char *, 4> pool;
    static unsigned filled;
    std::lock_guard<std::mutex> guard(state);
    if (filled < pool.size())
        pool[filled++] = new char[1000];
}

void session() {
    static std::unique_ptr<std::array<char, 512>> last;
    std::lock_guard<std::mutex> guard(state);
    last.reset();
    last = std::make_unique<std::array<char, 512>>();
}

void grow() {
    static char *buffer;
    static std::size_t used, room = 32;
    std::lock_guard<std::mutex> guard(state);
    while (used + 64 > room || buffer == nullptr)
        buffer = static_cast<char *>(std::realloc(buffer, room *= 2));
    used += 64;
}

void listed() {
    auto *node = new Node;
    std::lock_guard<std::mutex> guard(state);
    node->next = list;
    list = node;
}

void answer(int fd, int status, const std::string &text) {
    std::string out = "HTTP/1.1 " + std::to_string(status) + (status == 200 ? " OK" : " Error") +
                      "\r\nContent-Length: " + std::to_string(text.size()) + "\r\nContent-Type: text/plain\r\n\r\n" + text;
    for (std::size_t sent = 0; sent < out.size();) {
        ssize_t count = send(fd, out.data() + sent, out.size() - sent, MSG_NOSIGNAL);
        if (count <= 0)
            return;
        sent += static_cast<std::size_t>(count);
    }
}

void serve(int fd, const std::string &path, const std::string &query) {
    try {
        if (path == "/leak")
            leave_three();
        else if (path == "/error")
            fail(query);
        else if (path == "/cache")
            cache();
        else if (path == "/warm")
            warm();
        else if (path == "/session")
            session();
        else if (path == "/grow")
            grow();
        else if (path == "/list")
            listed();
        else if (path == "/late") {
            std::string room(3000, 'x');
            return answer(fd, 200, "freed after this");
        } else if (path != "/clean" && path != "/hello" && path.rfind("/orders/", 0) != 0)
            return answer(fd, 404, "no such endpoint");
        answer(fd, 200, path);
    } catch (const Failure &failure) {
        answer(fd, 500, path);
    }
}

void converse(int fd) {
    std::string bytes;
    char buffer[2048];
    for (ssize_t count; (count = read(fd, buffer, sizeof buffer)) > 0;) {
        bytes.append(buffer, static_cast<std::size_t>(count));
        for (std::size_t end; (end = bytes.find("\r\n\r\n")) != std::string::npos;) {
            std::string head = bytes.substr(0, end);
            std::size_t size = end + 4, length = head.find("Content-Length: ");
            if (length != std::string::npos)
                size += std::stoul(head.substr(length + 16));
            if (bytes.size() < size)
                break;
            std::size_t from = head.find(' ') + 1, to = head.find(' ', from);
            std::string target = head.substr(from, to - from), query;
            if (std::size_t mark = target.find('?'); mark != std::string::npos) {
                query = target.substr(mark + 1);
                target.resize(mark);
            }
            bytes.erase(0, size);
            if (bytes.empty())
                std::string().swap(bytes); // so that no request leaves room behind in it
            serve(fd, target, query);
        }
    }
    close(fd);
}

} // namespace

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    unsigned grown = 0;
    std::thread background([&grown] {
        for (void *kept = nullptr; !stopped; grown++) {
            void **block = static_cast<void **>(::operator new(128));
            *block = kept;
            kept = block;
            std::this_thread::sleep_for(std::chrono::milliseconds(2));
        }
    });
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<unsigned short>(std::atoi(arguments[1])));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int on = 1;
    listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, reinterpret_cast<sockaddr *>(&address), sizeof address) != 0 || listen(listener, 128) != 0)
        return 1;
    std::signal(SIGTERM, [](int) { shutdown(listener, SHUT_RDWR); });
    for (int fd; (fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC)) >= 0;) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        std::thread(converse, fd).detach();
    }
    stopped = true;
    background.join();
    while (list) {
        Node *next = list->next;
        delete list;
        list = next;
    }
    std::string line = "background " + std::to_string(grown) + "\n";
    return write(1, line.data(), line.size()) == static_cast<ssize_t>(line.size()) ? 0 : 1;
}
