// The wall clock of whoever it is preloaded to: a new hour begins 4 to 5 seconds after its start.
#define _GNU_SOURCE
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define HOUR 3600
#define AFTER 5

static time_t moved;

static int real_time(clockid_t clock, struct timespec *time) { return (int)syscall(SYS_clock_gettime, clock, time); }

__attribute__((constructor)) static void begin(void) {
    struct timespec now;
    if (real_time(CLOCK_REALTIME, &now) == 0)
        moved = HOUR - AFTER - now.tv_sec % HOUR;
}

int clock_gettime(clockid_t clock, struct timespec *time) {
    int result = real_time(clock, time);
    if (result == 0 && clock == CLOCK_REALTIME)
        time->tv_sec += moved;
    return result;
}
