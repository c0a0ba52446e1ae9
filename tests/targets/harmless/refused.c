// Asks for limits that it can't have, and says what it is told and has then.
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#define MIB(count) ((rlim_t)(count) << 20)

static void ask(const char *what, rlim_t soft, rlim_t hard) {
    struct rlimit limit = {soft, hard};
    errno = 0;
    int result = setrlimit(RLIMIT_AS, &limit);
    printf("%s: %d, %d", what, result, errno);
    if (getrlimit(RLIMIT_AS, &limit))
        return;
    printf(", now %ld of %ld MiB\n", (long)limit.rlim_cur >> 20, (long)limit.rlim_max >> 20);
}

int main(void) {
    ask("soft over hard, at first", MIB(1600), MIB(800));
    ask("both", MIB(1600), MIB(2400));
    ask("soft over hard", MIB(2000), MIB(1200));
    ask("a higher hard limit", MIB(1600), MIB(2500));
    ask("none", RLIM_INFINITY, RLIM_INFINITY);
    ask("a soft one over the hard one there is", MIB(2401), MIB(2400));
    ask("up to it", MIB(2400), MIB(2400));
    ask("less", MIB(1200), MIB(1200));
    ask("what there was", MIB(1200), MIB(2400));
    return 0;
}
