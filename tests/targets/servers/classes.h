// A C++ HTTP server with a thread for each connection, whose handlers leave objects of classes with virtual
// functions behind. For each request:
//
// GET /vehicles: 2 city::FloatingVehicle, 1 city::(anonymous namespace)::Hidden
// GET /boxes: 3 city::Box<int>, 1 city::Vehicle, 16 bytes without a class; only where it answers 500 (?fail=1)
// GET /clean: nothing, though it makes and deletes a city::FloatingVehicle
#include <cstdint>
#include <thread>

#include "http.h"
#include "listen.h"

namespace city {

struct Vehicle {
    virtual ~Vehicle() = default;
    virtual int wheels() const { return 4; }
    long number = 0;
};

struct Named {
    virtual ~Named() = default;
    char name[24] = "no name";
};

// Two bases: two vtables, of which the first tells the class.
struct FloatingVehicle : Vehicle, Named {
    int wheels() const override { return 0; }
    double position[2] = {0, 0};
};

template <class T> struct Box : Named {
    T content{};
};

namespace {
struct Hidden final : Vehicle {
    int wheels() const override { return 1; }
};
} // namespace

} // namespace city

static void *volatile left;

static int vehicles() {
    left = new city::FloatingVehicle;
    left = new city::FloatingVehicle;
    left = new city::Hidden;
    return 200;
}

static int boxes(bool fails) {
    for (int round = 0; fails && round < 3; round++)
        left = new city::Box<int>;
    if (fails) {
        left = new city::Vehicle;
        left = new long[2];
    }
    return fails ? 500 : 200;
}

static int clean() {
    city::Vehicle *vehicle = new city::FloatingVehicle;
    left = vehicle;
    delete vehicle;
    return 200;
}

static int respond(const request &request) {
    if (strcmp(request.path, "/vehicles") == 0)
        return vehicles();
    if (strcmp(request.path, "/boxes") == 0)
        return boxes(strstr(request.query, "fail") != nullptr);
    return strcmp(request.path, "/clean") == 0 ? clean() : 404;
}

static void converse(int fd) {
    connection connection{};
    connection.fd = fd;
    request request;
    while (fill(&connection))
        while (take(&connection, &request))
            answer(fd, respond(request), "done");
    close(fd);
}

int main(int count, char **arguments) {
    if (count != 2)
        return 2;
    listen_on(arguments[1]);
    for (int fd; (fd = next_connection()) >= 0;)
        std::thread(converse, fd).detach();
    return 0;
}
