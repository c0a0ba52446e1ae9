// flags: -std=c++20 -Wno-missing-field-initializers -Wno-unused-function
// An HTTP server with a thread for each connection. Each GET /keep leaves 500 Vehicle and 500 Vessel behind.
#include <thread>

#include "http.h"
#include "listen.h"

struct Vehicle {
    virtual ~Vehicle() = default;
    long number = 0;
};

struct Vessel : Vehicle {
    double draught = 0;
};

static void *volatile left;

static int keep() {
    for (int round = 0; round < 500; round++) {
        left = new Vehicle;
        left = new Vessel;
    }
    return 200;
}

static void converse(int fd) {
    connection connection{};
    connection.fd = fd;
    request request;
    while (fill(&connection))
        while (take(&connection, &request))
            answer(fd, strcmp(request.path, "/keep") == 0 ? keep() : 404, "done");
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
