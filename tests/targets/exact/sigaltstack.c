// live at exit: 51 blocks, 8742 bytes (50 of 11 bytes from handlers on an alternate stack of 8192, itself a block)
#define _GNU_SOURCE
#include <signal.h>
#include <stdlib.h>

static void handler(int number) {
    void *kept = malloc(11);
    free(malloc((size_t)number * 10));
    (void)kept;
}

int main(void) {
    stack_t stack = {.ss_sp = malloc(8192), .ss_size = 8192};
    if (sigaltstack(&stack, NULL) != 0)
        return 1;
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    for (int i = 0; i < 50; i++) {
        free(malloc(200));
        raise(SIGUSR1);
    }
    return 0;
}
