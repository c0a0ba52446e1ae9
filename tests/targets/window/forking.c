// "fork" on the standard input: makes a child, which keeps one block and lives until it is asked for nothing more; says
// its pid. "storm N": makes N children one after the other, each of which allocates and ends; says how many ended well,
// while another thread makes and frees blocks all the while.
// flags: -pthread
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

static void *volatile kept;
static atomic_int over;

static __attribute__((noinline)) void keep(void) { kept = malloc(1000); }

static void *churn(void *unused)
{
    while (!over) {
        void *volatile block = malloc(64);
        free(block);
    }
    return unused;
}

static void live(int input)
{
    struct pollfd end = {input, POLLIN, 0};
    keep();
    while (poll(&end, 1, 5) == 0)
        ;
    _exit(0);
}

static int storm(int count)
{
    int well = 0;
    for (int i = 0; i < count; i++) {
        pid_t child = fork();
        if (child == 0) {
            keep();
            free(kept);
            _exit(7);
        }
        int status = 0;
        waitpid(child, &status, 0);
        well += WIFEXITED(status) && WEXITSTATUS(status) == 7;
    }
    return well;
}

int main(void)
{
    int ends[2];
    pthread_t other;
    (void)!pipe(ends);
    pthread_create(&other, NULL, churn, NULL);
    (void)!write(1, "ready\n", 6);
    char line[64], said[64];
    for (;;) {
        struct pollfd input = {0, POLLIN, 0};
        while (poll(&input, 1, 5) == 0)
            ;
        ssize_t length = read(0, line, sizeof line - 1);
        if (length <= 0)
            break;
        line[length] = 0;
        int number;
        if (line[0] == 'f') {
            number = fork();
            if (number == 0) {
                close(ends[1]);
                live(ends[0]);
            }
        } else {
            number = storm(atoi(line + 6));
        }
        int size = snprintf(said, sizeof said, "did %d\n", number);
        (void)!write(1, said, size);
    }
    over = 1;
    pthread_join(other, NULL);
    return 0;
}
