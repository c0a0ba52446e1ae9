// live at exit: 10 blocks, 73869 bytes (24 + 400, 32 + 501, 48 + 4 nodes of 40; 72,704 is libstdc++'s pool)
#include <map>
#include <string>
#include <vector>

int main() {
    auto *vector = new std::vector<int>;
    vector->reserve(100);
    auto *string = new std::string(500, 'x');
    auto *map = new std::map<int, int>;
    for (int i = 0; i < 4; i++)
        (*map)[i] = i;
    for (int i = 0; i < 1000; i++) {
        std::vector<std::string> gone(10, std::string(100, 'y'));
        gone.push_back("z");
    }
    return vector->empty() && string->size() == 500 && map->size() == 4 ? 0 : 1;
}
