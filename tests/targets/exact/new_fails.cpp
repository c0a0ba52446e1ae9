// live at exit: 2 blocks, 72715 bytes (11 bytes; 72,704 is libstdc++'s pool)
// valgrind: no, it ends a program whose new fails
#include <cstdint>
#include <new>

int main() {
    volatile std::size_t too_much = PTRDIFF_MAX;
    int caught = 0;
    for (int i = 0; i < 100; i++) {
        try {
            static_cast<void>(::operator new(too_much));
        } catch (const std::bad_alloc &) {
            caught++;
        }
    }
    auto *kept = new (std::nothrow) char[11];
    auto *none = ::operator new(too_much, std::nothrow);
    return caught == 100 && kept && !none ? 0 : 1;
}
