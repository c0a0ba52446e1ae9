// Lives in the address space that it may have: finds out how much it can map, also under limits of its own.
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static const size_t MIB = 1 << 20;

// In MiB, to the next 64: a library more or less is not what is asked.
static size_t room(void) {
    size_t size = 4096 * MIB;
    void *mapped = MAP_FAILED;
    for (; size > 0 && mapped == MAP_FAILED; size -= 64 * MIB)
        mapped = mmap(NULL, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mapped != MAP_FAILED)
        munmap(mapped, size + 64 * MIB);
    return size / MIB;
}

static void say(const char *when) {
    struct rlimit limit, same;
    if (getrlimit(RLIMIT_AS, &limit) || prlimit(0, RLIMIT_AS, NULL, &same))
        exit(1);
    if (memcmp(&limit, &same, sizeof limit))
        exit(2);
    printf("%s: %ld of %ld MiB, room for %zu\n", when, (long)limit.rlim_cur >> 20,
           (long)limit.rlim_max >> 20, room());
    fflush(stdout);
}

static void set(size_t soft, size_t hard) {
    struct rlimit limit = {soft, hard}, old;
    if (prlimit(0, RLIMIT_AS, &limit, &old) || setrlimit(RLIMIT_AS, &limit))
        printf("not set: %s\n", strerror(errno));
}

int main(int arguments, char **argument) {
    say(arguments > 1 ? argument[1] : "at first");
    if (arguments > 1)
        return 0;
    set(608 * MIB, RLIM_INFINITY);
    say("soft");
    set(480 * MIB, 736 * MIB);
    say("both");
    set(736 * MIB, 736 * MIB);
    say("up again");
    struct rlimit more = {800 * MIB, 800 * MIB};
    if (geteuid() && !setrlimit(RLIMIT_AS, &more))
        return 3;
    if (fork() == 0) {
        set(288 * MIB, 288 * MIB);
        say("a child");
        execl(argument[0], argument[0], "another image", (char *)NULL);
        return 4;
    }
    int status;
    if (wait(&status) < 0 || status)
        return 5;
    free(malloc(1000));
    say("after it");
    return 0;
}
