// live at exit: 2 blocks, 72781 bytes (77 from a static object's destructor, which frees what its constructor took; 72,704 is libstdc++'s)
// before exit: 2 blocks, 73204 bytes
struct Global {
    char *room = new char[500];
    ~Global() {
        delete[] room;
        new char[77];
    }
};

static Global global;

int main() {
    return global.room ? 0 : 1;
}
