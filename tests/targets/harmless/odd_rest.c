// What is no call on descriptors, with odd pointers, numbers and limits: new images, waits, limits, filters, memory and
// locks; "waits" alone, and "subreaper" the same as one, started anew under the library that $PRELOAD names.
// flags: -O0 -Wno-nonnull -Wno-alloc-size-larger-than -Wno-free-nonheap-object
#include "odd.h"
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <linux/filter.h>
#include <malloc.h>
#include <semaphore.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>

extern char **environ;

// ---- new images: each says what it got

static void report(int argc) {
  int count = 0;
  for (char **entry = environ; entry && *entry; entry++)
    if (strncmp(*entry, "LEAK_", 5) && strncmp(*entry, "LD_PRELOAD", 10)) printf("[%.20s]%s", *entry, count++ ? "" : " ");
  printf("%d arguments, %d variables\n", argc, count);
}

static const char *self = "/proc/self/exe";
static int own;

static long image(int how, const char *path, char **arguments, char **variables) {
  pid_t child;
  int status;
  switch (how) {
  case 0: return execve(path, arguments, variables);
  case 1: return execvpe(path, arguments, variables);
  case 2: return fexecve(own, arguments, variables);
  case 3: return execveat(own, path == self ? "" : path, arguments, variables, AT_EMPTY_PATH);
  case 4: case 5: errno = (how == 4 ? posix_spawn : posix_spawnp)(&child, path, NULL, NULL, arguments, variables); break;
  case 6: environ = variables; return execv(path, arguments);
  case 7: environ = variables; return execvp(path, arguments);
  default: return execle(path, "self", (char *)NULL, variables);
  }
  if (errno) return -1;
  waitpid(child, &status, 0);
  return status;
}

static void in_child(int how, const char *path, char **arguments, char **variables) {
  int status;
  fflush(stdout);
  pid_t child = fork();
  if (child == 0) {
    TRY(image(how, path, arguments, variables));
    fflush(stdout);
    _exit(9);
  }
  waitpid(child, &status, 0);
  printf("  ended %x\n", status);
}

static char filler[128 << 10];

static void images(void) {
  char *arguments[] = {"self", "x", NULL}, *variables[] = {"A=1", "B", "", "=", NULL};
  memset(places[GOOD].at, 0, PAGE);
  strcpy(places[GOOD].at + PAGE - 6, "C=good"); // goes on in the next page
  *(char **)places[AT_EDGE].at = "D=edge";      // no end
  char *last = strcpy(places[NONE].at - 4, "E=1");
  char *odd[][4] = {
      {NULL}, {"A=1", last, NULL}, {"F=1", places[0].at + 1, NULL}, {places[3].at, NULL},
      {"LD_PRELOAD", "LD_PRELOAD=", NULL}, {"LD_PRELOAD=: ::", "G=1", "LD_PRELOAD=libm.so.6", NULL},
      {"LEAK_SESSION=", "LEAK_SESSION=bogus", "H=1", NULL}, {places[GOOD].at + PAGE - 6, NULL}};
  for (int how = 0; how < 9; how++) {
    for (int place = 0; place < PLACES; place++) {
      printf("image %d %s:\n", how, places[place].name);
      in_child(how, self, arguments, (void *)places[place].at);
      in_child(how, self, (void *)places[place].at, variables);
      in_child(how, self, (void *)places[place].at, (void *)places[place].at);
      in_child(how, places[place].at, arguments, variables);
    }
    for (size_t i = 0; i < COUNT(odd); i++) {
      printf("image %d odd %zd:\n", how, i);
      in_child(how, self, arguments, odd[i]);
      in_child(how, self, odd[i], variables);
    }
    in_child(how, "/nonesuch", arguments, NULL);
    in_child(how, "/dev/null", NULL, variables);
  }
  memset(places[AT_EDGE].at, 'z', EDGE);
  in_child(0, self, arguments, (char *[]){places[AT_EDGE].at, NULL});
  in_child(0, self, (char *[]){"x", places[AT_EDGE].at, NULL}, variables);
  static char *many[20001];
  for (int i = 0; i < 20000; i++) many[i] = "K=V";
  in_child(0, "/bin/true", arguments, many);
  static char long_[140000] = "LD_PRELOAD=";
  memset(long_ + 11, ':', 130000);
  char *one[] = {long_, NULL};
  in_child(0, "/bin/true", arguments, one);
  // As much as there is room for, and more.
  struct rlimit stack, small = {512 << 10, 512 << 10};
  getrlimit(RLIMIT_STACK, &stack), small.rlim_max = stack.rlim_max, setrlimit(RLIMIT_STACK, &small);
  char *filling[] = {memset(filler, 'f', sizeof filler), "Z=1", NULL};
  for (int how = 0; how < 5; how += 4)
    for (size_t length = sizeof filler - 1200; length < sizeof filler; length += 30) {
      filler[length] = 0;
      in_child(how, "/bin/true", arguments, filling);
      filler[length] = 'f';
    }
  setrlimit(RLIMIT_STACK, &stack);
  long_[131072 + 20] = 'x', memset(long_ + 11, ':', 131072);
  in_child(0, "/bin/true", arguments, one);
}

// ---- waits

enum { NO_CHILD, RUNS, ENDED };
static pid_t child;

static void told_to_end(int signal) {
  _exit(signal);
}

static pid_t fork_one(int state) {
  pid_t pid = fork();
  if (pid == 0) {
    if (state == RUNS) pause();
    _exit(7);
  }
  if (state == ENDED) waitid(P_PID, pid, NULL, WEXITED | WNOWAIT);
  return pid;
}

// Its number differs from run to run.
static long who(long pid) {
  return pid > 0 && pid == child ? 1 : pid > 0 ? 2 : pid;
}

// What a wait told, and whether the child is still there to be waited for.
static void finish(int state, char *told) {
  siginfo_t *info = (void *)told;
  // Without news code and status are what the kernel happens to have there.
  if (told == places[GOOD].at)
    printf("  %d %d %d %d %x", info->si_signo, info->si_signo ? info->si_code : 0, info->si_pid == child && child,
           info->si_signo ? info->si_status : 0, told[100]);
  int status = 0;
  pid_t left = state == NO_CHILD ? 0 : waitpid(child, &status, WNOHANG);
  printf("  then %d %x\n", left == child, status);
}

#define WAIT(what, call)                                                                                               \
  for (int state = NO_CHILD; state <= ENDED; state++) {                                                                \
    child = state == RUNS ? fork_one(RUNS) : 0;                                                                        \
    for (int place = 0; place < NONE; place++)                                                                         \
      for (size_t index = 0; index < COUNT(options); index++) {                                                        \
        int o = options[index];                                                                                        \
        if (place > 1 && place < GOOD) continue;                                                                       \
        /* Nobody waits for what does not come. */                                                                     \
        if (state == RUNS && !(o & WNOHANG)) continue;                                                                 \
        void *p = place == GOOD ? memset(places[GOOD].at, 0x55, PAGE) : places[place].at;                              \
        if (state == ENDED) child = fork_one(ENDED);                                                                   \
        printf("%s %d %s %x: ", what, state, places[place].name, o);                                                   \
        TRY(call);                                                                                                     \
        finish(state, p);                                                                                              \
      }                                                                                                                \
    if (state == RUNS) kill(child, SIGUSR1), waitpid(child, NULL, 0);                                                  \
  }

static void waits(void) {
  signal(SIGUSR1, told_to_end);
  static const int options[] = {0, WNOHANG, WNOHANG | WUNTRACED, __WALL, __WNOTHREAD, 0x100, WNOHANG | 0x40, WNOWAIT, -1,
                                WEXITED, WEXITED | WNOHANG, WEXITED | WNOWAIT, WSTOPPED | WNOHANG, WEXITED | 0x80};
  WAIT("waitpid", who(waitpid(-1, p, o)));
  WAIT("wait4", who(wait4(-1, NULL, o, p)));
  WAIT("waitid", waitid(P_ALL, 0, p, o));
  WAIT("waitid of", waitid(P_PID, child, p, o));
  WAIT("waitid 99", waitid(99, 0, p, o));
  WAIT("wait", state == RUNS ? 0 : who(wait(p)));
  WAIT("waitpid group", who(waitpid(0, p, o)));
  WAIT("waitpid min", who(waitpid(INT_MIN, p, o)));
}

// Stops the recorder, or lets it go on, where it is a child: those are no news of a child of the program's.
static void signal_recorder(int signal) {
  char name[64], pids[256] = "";
  snprintf(name, sizeof name, "/proc/self/task/%d/children", getpid());
  FILE *file = fopen(name, "r");
  if (file == NULL || fgets(pids, sizeof pids, file) == NULL) pids[0] = 0;
  if (file) fclose(file);
  for (char *pid = strtok(pids, " "); pid; pid = strtok(NULL, " ")) {
    char comm[64] = "";
    snprintf(name, sizeof name, "/proc/%s/comm", pid);
    file = fopen(name, "r");
    if (file && fgets(comm, sizeof comm, file) && strcmp(comm, "leak-recorder\n") == 0) kill(atoi(pid), signal);
    if (file) fclose(file);
  }
}

static void stopped(void) {
  int status = 0;
  siginfo_t info = {0};
  child = 0;
  signal_recorder(SIGSTOP);
  printf("stopped:\n");
  TRY(who(waitpid(-1, &status, WNOHANG | WUNTRACED)));
  TRY(waitid(P_ALL, 0, &info, WSTOPPED | WNOHANG));
  child = fork_one(NO_CHILD);
  TRY(who(waitpid(-1, &status, WUNTRACED)));
  printf("%x\n", status);
  signal_recorder(SIGCONT);
  TRY(who(waitpid(-1, &status, WNOHANG | WCONTINUED)));
  TRY(waitid(P_ALL, 0, &info, WCONTINUED | WNOHANG));
}

// ---- limits

static void limits(void) {
  static const int resources[] = {RLIMIT_AS, RLIMIT_CORE, -1, 99};
  const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY};
  for (size_t index = 0; index < COUNT(resources); index++)
    for (int to = 0; to < PLACES; to++)
      for (int from = 0; from < PLACES; from++) {
        int resource = resources[index];
        struct rlimit *old = (void *)places[to].at, *new = (void *)places[from].at, now;
        *(struct rlimit *)places[GOOD].at = (struct rlimit){1UL << 40, 1UL << 41};
        printf("limit %d %s %s:\n", resource, places[to].name, places[from].name);
        TRY(getrlimit(resource, old));
        TRY(setrlimit(resource, new));
        TRY(prlimit(0, resource, new, old));
        TRY(prlimit(getpid(), resource, new, old));
        TRY(prlimit(-1, resource, new, old));
        if (to == GOOD) printf("%lx %lx\n", old->rlim_cur, old->rlim_max);
        TRY(getrlimit(resource, &now));
        if (!result) printf("%lx %lx\n", now.rlim_cur, now.rlim_max);
        setrlimit(resource, &none);
      }
}

// ---- filters that can't be: what comes later is traced all the same

void *kept[100];

static void *allocates(void *unused) {
  for (int i = 0; i < 100; i++) kept[i] = malloc(777);
  return unused;
}

static void filters(void) {
  struct sock_filter wrong = {.code = 0xffff};
  struct sock_fprog programs[] = {{1, (void *)-1L}, {0, &wrong}, {1, &wrong}, {5000, &wrong}};
  for (int place = 0; place < PLACES; place++) {
    memset(places[GOOD].at, 0xee, PAGE);
    for (int mode = -1; mode < 5; mode++) {
      if (mode == SECCOMP_MODE_STRICT) continue;
      TRY(prctl(PR_SET_SECCOMP, mode, places[place].at, 0, 0));
      TRY(syscall(SYS_prctl, PR_SET_SECCOMP, mode, places[place].at, 0, 0));
    }
    for (int flags = -1; flags < 3; flags++) {
      TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, places[place].at));
      TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_STRICT, 1, places[place].at));
      TRY(syscall(SYS_seccomp, 99, flags, places[place].at));
    }
  }
  for (size_t i = 0; i < COUNT(programs); i++) {
    TRY(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &programs[i]));
    TRY(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &programs[i]));
  }
  pthread_t thread;
  pthread_create(&thread, NULL, allocates, NULL);
  pthread_join(thread, NULL);
}

// ---- memory

static void memory(void) {
  static const size_t sizes[] = {0, 1, PAGE - 1, 1UL << 46, 1UL << 47, 1UL << 62, SSIZE_MAX, SIZE_MAX - PAGE + 1, SIZE_MAX};
  for (size_t i = 0; i < COUNT(sizes); i++) {
    size_t n = sizes[i];
    void *block = malloc(10), *other = NULL;
    printf("memory %zx:\n", n);
    if (n) TRY(munmap(NULL, n) ? -1 : 0); // 0: the first page, where nothing is
    TRY(munmap((void *)1, n));
    TRY(munmap((void *)(1UL << 47), n ? n : 1));
    TRY(munmap((void *)-1L, n));
    TRY(munmap((void *)-4096L, n));
    TRY(mmap(NULL, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 1) == MAP_FAILED ? -1 : 0);
    TRY(mmap(NULL, n, PROT_READ, 0, -1, 0) == MAP_FAILED ? -1 : 0);
    TRY(mmap((void *)1, n, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED ? -1 : 0);
    if (n < 1UL << 45) continue;
    TRY(malloc(n) ? 0 : -1);
    TRY(calloc(n, 2) ? 0 : -1);
    TRY(calloc(2, n) ? 0 : -1);
    TRY(realloc(block, n) ? 0 : -1);
    TRY(reallocarray(block, n, 3) ? 0 : -1);
    TRY(aligned_alloc(64, n) ? 0 : -1);
    TRY(memalign(n, n) ? 0 : -1);
    TRY((errno = posix_memalign(&other, n, 8)) ? -1 : 0);
    TRY((errno = posix_memalign(&other, 64, n)) ? -1 : 0);
    TRY(valloc(n) ? 0 : -1);
    TRY(pvalloc(n) ? 0 : -1);
    TRY(other ? 1 : 0);
    free(block);
  }
}

// ---- locks, whose waits end at once

static void locks(void) {
  struct timespec odd[] = {{-1, 0}, {0, -1}, {0, 1000000000}, {0, 0}};
  pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER, taken = PTHREAD_MUTEX_INITIALIZER;
  pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
  pthread_attr_t attributes;
  pthread_t thread;
  sem_t semaphore;
  sem_init(&semaphore, 0, 0);
  pthread_mutex_lock(&taken);
  for (size_t i = 0; i < COUNT(odd); i++) {
    printf("locks %zd:\n", i);
    TRY(sem_timedwait(&semaphore, &odd[i]));
    TRY(sem_clockwait(&semaphore, 99, &odd[i]));
    TRY(sem_clockwait(&semaphore, CLOCK_MONOTONIC, &odd[i]));
    pthread_mutex_lock(&mutex);
    TRY(pthread_cond_timedwait(&condition, &mutex, &odd[i]));
    TRY(pthread_cond_clockwait(&condition, &mutex, 99, &odd[i]));
    pthread_mutex_unlock(&mutex);
    TRY(pthread_mutex_timedlock(&taken, &odd[i]));
    TRY(pthread_mutex_clocklock(&taken, CLOCK_REALTIME, &odd[i]));
    TRY(pthread_mutex_clocklock(&taken, 99, &odd[i]));
    TRY(pthread_mutex_trylock(&taken));
    for (int place = 0; place < PLACES; place++) {
      memset(places[GOOD].at, 0, PAGE);
      if (place != GOOD || i != 3) TRY(syscall(SYS_futex, places[place].at, FUTEX_WAIT | 128, 0, &odd[i], NULL, 0));
      TRY(syscall(SYS_futex, places[place].at, FUTEX_WAIT, 1, places[place].at, NULL, 0));
      TRY(syscall(SYS_futex, places[place].at, -1, 0, NULL, NULL, 0));
      TRY(syscall(-1, places[place].at));
    }
  }
  pthread_attr_init(&attributes);
  pthread_attr_setstacksize(&attributes, 1UL << 46);
  TRY(pthread_create(&thread, &attributes, allocates, NULL));
  TRY(pthread_create(&thread, &attributes, allocates, NULL));
}

int main(int argc, char **argv) {
  if (argc == 2 && strcmp(argv[1], "subreaper") == 0) {
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (getenv("PRELOAD")) setenv("LD_PRELOAD", getenv("PRELOAD"), 1);
    unsetenv("PRELOAD");
    execl(self, argv[0], "waits", (char *)NULL);
  }
  if (argc == 2 && strcmp(argv[1], "waits") == 0) {
    prepare(), waits(), stopped(), puts("done");
    return 0;
  }
  if (argc != 1 || strstr(argv[0], "odd_rest") == NULL) {
    report(argc);
    return 3;
  }
  prepare();
  own = open(self, O_RDONLY);
  images();
  waits();
  limits();
  filters();
  memory();
  locks();
  puts("done");
  return 0;
}
