// live at exit: 4 blocks, 72823 bytes (3 of 119 bytes in all; 72,704 is libstdc++'s pool for exceptions)
#include <cstdint>
#include <new>

struct Pair {
    std::uint64_t a, b;
};

int main() {
    auto *one = new char('x');
    auto *pair = new Pair{1, 2};
    auto *raw = static_cast<char *>(::operator new(102));
    delete new Pair{3, 4};
    ::operator delete(::operator new(1000), std::size_t{1000});
    auto *gone = new (std::nothrow) int(5);
    delete gone;
    return *one == 'x' && pair->b == 2 && raw ? 0 : 1;
}
