// What a C++ compiler is given to compile: small, with a header that makes it work.
#include <map>
#include <regex>
#include <string>

int words(const std::string &text)
{
	std::map<std::string, int> seen;
	const std::regex word("[a-z]+");
	for (std::sregex_iterator at(text.begin(), text.end(), word), end; at != end; ++at)
		seen[at->str()]++;
	return static_cast<int>(seen.size());
}
