// The operators of `operators.h`, and blocks that change hands between C and C++, on two threads.
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <thread>

#define main operators
#include "operators.h"
#undef main

struct Node {
    virtual ~Node() {}
    char bytes[92];
};

static void *kept[9];

static void change_hands() {
    for (int i = 1; i < 20000; i++) {
        // Both are the allocator's own: it takes a block back by either.
        free(::operator new(i % 5000 + 1));
        ::operator delete(malloc(i % 300 + 1));
        void *moved = realloc(::operator new(10), i % 9000 + 1);
        ::operator delete(moved, std::nothrow);
        ::operator delete(memalign(128, 100), std::align_val_t(128));
        delete[] new std::string[3];
    }
    kept[0] = realloc(::operator new(10), 1000);
    kept[1] = ::operator new(200, std::align_val_t(4096));
    kept[2] = ::operator new[](300, std::align_val_t(64), std::nothrow);
    kept[3] = new Node; // 104
    kept[4] = strdup("eight by");
    kept[5] = malloc(400);
    kept[6] = ::operator new(0);
    kept[7] = calloc(5, 100);
#ifdef OWN // the allocator's own name for malloc
    kept[8] = OWN(600);
    free(realloc(OWN(10), 20));
    ::operator delete(OWN(30));
#endif
}

// What it frees has just been given out, and is given out again by the next try.
static void give_the_same_back() {
    std::set_new_handler(nullptr);
    free(malloc(64));
    ::operator delete(::operator new(64));
}

// With an argument, no operator fails: mimalloc, built as C, then ends the program.
int main(int arguments, char **) {
    std::thread other(change_hands);
    other.join();
    if (arguments > 1)
        return 0;
    for (int i = 0; i < 100; i++) {
        std::set_new_handler(give_the_same_back);
        try {
            huge();
            return 3;
        } catch (const std::bad_alloc &) {
        }
    }
    return operators();
}
