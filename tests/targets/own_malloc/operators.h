// C++ operators in every form, also those that fail, with a handler that frees, and caught.
#include <cstdint>
#include <memory>
#include <new>
#include <string>
#include <vector>

struct alignas(64) Line {
    char bytes[192];
};

static char *reserve;
static void *huge() { return ::operator new(SIZE_MAX / 4); }

static void give_way() {
    delete[] reserve;
    reserve = nullptr;
    std::set_new_handler(nullptr);
}

struct Thrown {
    std::string text;
};

int main() {
    std::vector<std::unique_ptr<std::string>> kept;
    for (int i = 0; i < 1000; i++)
        kept.push_back(std::make_unique<std::string>(100, 'x'));
    int *one = new int(1);               // 4
    int *many = new int[10];             // 40
    Line *line = new Line;               // 192
    Line *lines = new Line[2];           // 384
    int *quiet = new (std::nothrow) int; // 4
    delete new int;
    delete[] new int[3];
    delete new Line;
    delete[] new Line[3];
    delete new (std::nothrow) Line;
    int caught = 0;
    for (int i = 0; i < 1000; i++) {
        try {
            huge();
        } catch (const std::bad_alloc &) {
            caught++;
        }
        try {
            throw Thrown{std::string(50, 'y')};
        } catch (const Thrown &thrown) {
            caught += thrown.text.size() == 50;
        }
    }
    reserve = new char[100000];
    std::set_new_handler(give_way);
    try {
        huge();
    } catch (const std::bad_alloc &) {
        caught += reserve == nullptr;
    }
    if (new (std::nothrow) char[SIZE_MAX / 4])
        return 1;
    return caught == 2001 && one && many && line && lines && quiet ? 0 : 2;
}
