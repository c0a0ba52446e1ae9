// A pool of mapped nodes of 20 KiB: what a request gives back the next one gets. "k" is a request to /keep, which keeps its
// node, "c" one to /clean and "d" one to /spare, which give theirs back. The words of the first argument are served, each
// by so many rounds as the second one says.
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../../../preload/include/leak.h"

enum { NODE = 20 << 10 };

static char *spare[16];
static int spares;

__attribute__((noinline)) static char *node(void) {
    if (spares > 0)
        return spare[--spares];
    char *made = mmap(NULL, NODE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (made == MAP_FAILED)
        exit(1);
    return made;
}

static void give_back(char *of) { spare[spares++] = of; }

__attribute__((noinline)) static void keep(void) { memset(node(), 1, NODE); }

__attribute__((noinline)) static void clean(void) {
    char *of = node();
    memset(of, 2, NODE);
    give_back(of);
}

int main(int argc, char **argv) {
    if (argc < 3)
        return 2;
    char *nodes[3] = {node(), node(), node()};
    for (int at = 0; at < 3; at++)
        give_back(nodes[at]);
    for (int round = atoi(argv[2]); round > 0; round--)
        for (const char *word = argv[1]; *word != 0; word++) {
            leak_begin(*word == 'k' ? "/keep" : *word == 'c' ? "/clean" : "/spare");
            *word == 'k' ? keep() : clean();
            leak_end();
        }
    return 0;
}
