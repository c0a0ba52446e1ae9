// live at exit: 22 blocks, 73392 bytes (20 of 20 bytes; 288 of libc's for a cached stack; 72,704 is libstdc++'s pool)
#include <thread>

int main() {
    for (int i = 0; i < 20; i++) {
        std::thread thread([] {
            new char[20];
            delete new long;
        });
        thread.join();
    }
    return 0;
}
