// live at exit: 3 blocks, 72784 bytes (two objects that hold each other, 40 each with their counts; 72,704 is libstdc++'s)
#include <memory>

struct Node {
    std::shared_ptr<Node> other;
    long value = 0;
};

int main() {
    for (int i = 0; i < 100; i++) {
        auto a = std::make_shared<Node>(), b = std::make_shared<Node>();
        a->other = b;
        if (i == 50)
            b->other = a;
    }
    return 0;
}
