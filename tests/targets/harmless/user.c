// Keeps 100 blocks of 1,234 bytes and says whose it is; with arguments it becomes the user 65534, whom nothing else
// belongs to, and executes them.
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void *volatile kept[100];

int main(int count, char **arguments) {
    if (count > 1) {
        if (setgroups(0, NULL) || setgid(65534) || setuid(65534))
            return 1;
        execv(arguments[1], arguments + 1);
        return 2;
    }
    for (int i = 0; i < 100; i++)
        kept[i] = malloc(1234);
    dprintf(1, "user %d\n", (int)getuid());
    return 3;
}
