// live at exit: 3 blocks, 73512 bytes (100 ints; 50 objects with a destructor and the count before them, 408; 72,704 is libstdc++'s)
struct Destroyed {
    long value = 1;
    ~Destroyed() { value = 0; }
};

int main() {
    auto *ints = new int[100]{};
    auto *objects = new Destroyed[50];
    delete[] new Destroyed[10];
    delete[] new char[10];
    return ints[99] == 0 && objects[49].value == 1 ? 0 : 1;
}
