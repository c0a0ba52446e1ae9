# part: quick
# packages: g++
cat > a.cpp <<'END'
#include <algorithm>
#include <iostream>
#include <map>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <thread>
#include <vector>
int main() {
  std::map<std::string, std::vector<int>> map;
  std::istringstream text("one two three two one two");
  std::string word;
  for (int i = 0; text >> word; i++) map[word].push_back(i);
  for (auto &[key, places] : map) std::cout << key << ' ' << places.size() << '\n';
  std::vector<std::thread> threads;
  std::vector<std::unique_ptr<std::string>> made(8);
  for (int i = 0; i < 8; i++) threads.emplace_back([&, i] { made[i] = std::make_unique<std::string>(1000, 'a' + i); });
  for (auto &thread : threads) thread.join();
  int caught = 0;
  for (int i = 0; i < 20000; i++) try { throw std::runtime_error(std::to_string(i)); } catch (std::exception &e) { caught += e.what()[0] == '1'; }
  std::cout << caught << '\n';
}
END
g++ -std=c++20 -O1 -g a.cpp -o a -pthread && ./a
