// A C++ program of the usual kind: maps of strings, built, looked through and dropped: cpptree ROUNDS.
// flags: -O2
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct Node {
	std::string name;
	std::vector<std::unique_ptr<Node>> children;
	std::map<std::string, std::string> attributes;
};

static std::unique_ptr<Node> grow(int depth, int number)
{
	auto node = std::make_unique<Node>();
	node->name = "a node with a name of its own " + std::to_string(number);
	for (int n = 0; n < 3; n++)
		node->attributes["attribute number " + std::to_string(n)] = std::string(20 + n * 8, 'x');
	for (int n = 0; depth > 0 && n < 4; n++)
		node->children.push_back(grow(depth - 1, number * 4 + n));
	return node;
}

int main(int count, char **arguments)
{
	if (count != 2)
		return 2;
	for (int n = std::atoi(arguments[1]); n > 0; n--)
		grow(6, n);
	return 0;
}
