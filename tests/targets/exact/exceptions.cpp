// live at exit: 5 blocks, 72904 bytes (every thousandth of 4000 throws keeps 50 bytes; 72,704 is libstdc++'s)
#include <stdexcept>
#include <string>

static __attribute__((noinline)) int descend(int levels, int number) {
    std::string local(100 + levels, 'x');
    if (levels == 0)
        throw std::runtime_error("a message that is too long for the small string, number " + std::to_string(number));
    return descend(levels - 1, number) + static_cast<int>(local.size());
}

int main() {
    int caught = 0;
    for (int i = 0; i < 4000; i++) {
        try {
            try {
                descend(i % 20, i);
            } catch (const std::runtime_error &error) {
                if (i % 2)
                    throw;
                caught++;
            }
        } catch (...) {
            caught++;
            if (i % 1000 == 999)
                new char[50];
        }
    }
    return caught == 4000 ? 0 : 1;
}
