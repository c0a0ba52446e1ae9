// live at exit: 3 blocks, 77056 bytes (a page, and 256 aligned to 256; 72,704 is libstdc++'s)
// flags: -std=c++17
#include <cstdint>
#include <new>

struct alignas(4096) Page {
    char bytes[4096];
};
struct alignas(256) Line {
    char bytes[256];
};

int main() {
    auto *page = new Page;
    auto *line = new Line;
    delete new Page;
    delete[] new Line[3];
    return reinterpret_cast<std::uintptr_t>(page) % 4096 == 0 && reinterpret_cast<std::uintptr_t>(line) % 256 == 0 ? 0 : 1;
}
