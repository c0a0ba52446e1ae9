// live at exit: 12 blocks, 73338 bytes (10 threads free 1000 bytes in a destructor and keep 33; libc 304, libstdc++ 72,704)
#include <thread>

struct Local {
    char *room = new char[1000];
    ~Local() {
        delete[] room;
        new char[33];
    }
};

static thread_local Local local;

int main() {
    for (int i = 0; i < 10; i++) {
        std::thread thread([] { local.room[0] = 1; });
        thread.join();
    }
    return 0;
}
