// live at exit: 1000 blocks, 500500 bytes (everything before the SIGKILL)
// ends: signal 9
// before exit: none
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

int main(void) {
    for (size_t i = 1; i <= 1000; i++) {
        void *kept = malloc(i);
        if (kept == NULL)
            return 1;
        free(malloc(i));
    }
    kill(getpid(), SIGKILL);
    return 1;
}
