// flags: -Wl,-z,now
// How much of its caller's stack each call takes that can be hooked, in bytes: `NAME: FIRST LATER`, where the first
// call is also the first that its thread makes. The stacks are painted before: `thread`, the thread's own; `coroutine`,
// 4 KiB with nothing below; `handler`, one for signals; `confined`, a coroutine's in a program with a seccomp filter, whose
// main thread makes all calls.
#define _GNU_SOURCE
#include <ucontext.h>
#include <arpa/inet.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <spawn.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/select.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../preload/include/leak.h"

enum { SIZE = 64 << 10, COROUTINE = 4 << 10, LATER = 3, PAINT = 0x5a };

static int listening, client, server, pipes[2], file, epoll;
static void *block;
static char bytes[8192];
static struct iovec vector = {bytes, sizeof bytes};
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static sem_t semaphore;
static const struct timespec past = {1, 0};
static struct timespec none;

static const char request[] = "GET /some/where/7?x=y HTTP/1.1\r\nHost: x\r\nAccept: */*\r\nUser-Agent: y\r\n\r\n";
static const char answer[] = "HTTP/1.1 200 OK\r\nServer: z\r\nContent-Length: 2\r\n\r\nok";

static void check(int done, const char *what) {
    if (done) return;
    perror(what);
    exit(1);
}

static void connects(void) {
    struct sockaddr_in address;
    socklen_t length = sizeof address;
    getsockname(listening, (struct sockaddr *)&address, &length);
    client = socket(AF_INET, SOCK_STREAM, 0);
    check(connect(client, (struct sockaddr *)&address, length) == 0, "connect");
}

static void opens(void) {
    connects();
    server = accept(listening, NULL, NULL);
    check(server >= 0, "accept");
}

static void closes(void) {
    close(client);
    if (server >= 0) close(server);
    server = -1;
}

// A connection on which a request was sent, and one on which it was read.
static void asks(void) {
    opens();
    check(write(client, request, sizeof request - 1) > 0, "write");
}

static void is_asked(void) {
    asks();
    check(read(server, bytes, sizeof bytes) > 0, "read");
}

static void allocates(void) { block = malloc(100); }
static void frees(void) { free(block); }
static void nothing(void) {}
static void unlocks(void) { pthread_mutex_unlock(&mutex); }
static void locks(void) { pthread_mutex_lock(&mutex); }
static void posts(void) { sem_post(&semaphore); }
static void maps(void) {
    block = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}
static void loads(void) { block = dlopen("libutil.so.1", RTLD_NOW); }
static void forks(void) {
    if (fork() == 0) _exit(0);
}
static void reaps(void) {
    while (waitpid(-1, NULL, 0) > 0) continue;
}
static void *ends(void *argument) { return argument; }

// What a just-in-time compiler makes: code in no library, that calls `malloc`, with a frame pointer and without.
static const unsigned char framed[] = {0x55, 0x48, 0x89, 0xe5, 0xff, 0xd6, 0x5d, 0xc3};
static const unsigned char frameless[] = {0x55, 0x31, 0xed, 0xff, 0xd6, 0x5d, 0xc3};
static void *(*compiled[2])(size_t, void *(*)(size_t));

static void compile(void) {
    unsigned char *code = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    memcpy(code, framed, sizeof framed);
    memcpy(code + 64, frameless, sizeof frameless);
    check(mprotect(code, 4096, PROT_READ | PROT_EXEC) == 0, "mprotect");
    for (int n = 0; n < 2; n++) compiled[n] = (void *(*)(size_t, void *(*)(size_t)))(code + 64 * n);
}

static void call_compiled(void) { block = compiled[0](100, malloc); }
static void call_frameless(void) { block = compiled[1](100, malloc); }
static void call_malloc(void) { block = malloc(100); }
static void call_calloc(void) { block = calloc(10, 10); }
static void call_realloc(void) { block = realloc(block, 3000); }
static void call_reallocarray(void) { block = reallocarray(block, 30, 100); }
static void call_memalign(void) { block = memalign(64, 100); }
static void call_aligned_alloc(void) { block = aligned_alloc(64, 128); }
static void call_posix_memalign(void) { posix_memalign(&block, 64, 100); }
static void call_valloc(void) { block = valloc(100); }
static void call_pvalloc(void) { block = pvalloc(100); }
static void call_free(void) { free(block); }
static void call_usable(void) { malloc_usable_size(block); }
static void call_mmap(void) { maps(); }
static void call_munmap(void) { munmap(block, 4096); }
static void call_accept(void) { server = accept(listening, NULL, NULL); }
static void call_accept4(void) { server = accept4(listening, NULL, NULL, SOCK_CLOEXEC); }
static void call_read(void) { read(server, bytes, sizeof bytes); }
static void call_readv(void) { readv(server, &vector, 1); }
static void call_recv(void) { recv(server, bytes, sizeof bytes, 0); }
static void call_recvfrom(void) { recvfrom(server, bytes, sizeof bytes, 0, NULL, NULL); }
static struct msghdr message = {.msg_iov = &vector, .msg_iovlen = 1};
static void call_recvmsg(void) { recvmsg(server, &message, 0); }
static struct mmsghdr messages = {.msg_hdr = {.msg_iov = &vector, .msg_iovlen = 1}};
static void call_recvmmsg(void) { recvmmsg(server, &messages, 1, 0, NULL); }
static const struct iovec answers = {(char *)answer, sizeof answer - 1};
static void call_write(void) { write(server, answer, sizeof answer - 1); }
static void call_writev(void) { writev(server, &answers, 1); }
static void call_send(void) { send(server, answer, sizeof answer - 1, 0); }
static void call_sendto(void) { sendto(server, answer, sizeof answer - 1, 0, NULL, 0); }
static const struct msghdr sent = {.msg_iov = (struct iovec *)&answers, .msg_iovlen = 1};
static void call_sendmsg(void) { sendmsg(server, &sent, 0); }
static struct mmsghdr all_sent = {.msg_hdr = {.msg_iov = (struct iovec *)&answers, .msg_iovlen = 1}};
static void call_sendmmsg(void) { sendmmsg(server, &all_sent, 1, 0); }
static void call_sendfile(void) { sendfile(server, file, NULL, 10); }
static void call_splice(void) { splice(pipes[0], NULL, server, NULL, 1, 0); }
static void call_shutdown(void) { shutdown(server, SHUT_WR); }
static void call_close(void) { close(server); server = -1; }
static void call_close_range(void) { close_range(server, server, 0); server = -1; }
static void call_dup2(void) { dup2(client, server); }
static void call_dup(void) { close(dup(server)); }
static void call_dup3(void) { dup3(client, server, O_CLOEXEC); }
static void call_fcntl(void) { close(fcntl(server, F_DUPFD, 0)); }
static void call_fdopen(void) { block = fdopen(server, "r"); }
static void call_fclose(void) { fclose(block); server = -1; }
static void opens_stream(void) { opens(); block = fdopen(server, "r"); }
static void closes_stream(void) { if (block) fclose(block); server = -1; closes(); }
static struct pollfd polled;
static void call_poll(void) { poll(&polled, 0, 0); }
static void call_ppoll(void) { ppoll(&polled, 0, &none, NULL); }
static void call_select(void) { struct timeval time = {0, 0}; select(0, NULL, NULL, NULL, &time); }
static void call_pselect(void) { pselect(0, NULL, NULL, NULL, &none, NULL); }
static struct epoll_event event;
static void call_epoll_wait(void) { epoll_wait(epoll, &event, 1, 0); }
static void call_epoll_pwait(void) { epoll_pwait(epoll, &event, 1, 0, NULL); }
static void call_sem_wait(void) { sem_wait(&semaphore); }
static void call_sem_timedwait(void) { sem_timedwait(&semaphore, &past); }
static void call_cond_timedwait(void) { pthread_cond_timedwait(&condition, &mutex, &past); }
static void call_mutex_lock(void) { pthread_mutex_lock(&mutex); }
static void call_mutex_trylock(void) { pthread_mutex_trylock(&mutex); }
static void call_mutex_timedlock(void) { pthread_mutex_timedlock(&mutex, &past); }
static void call_begin(void) { leak_begin("job"); }
static void call_end(void) { leak_end(); }
static void begins(void) { leak_begin("job"); }
static void ends_job(void) { leak_end(); }
static char label[3000];
static void call_mark(void) { leak_mark(label); }
static void call_wait4(void) { wait4(-1, NULL, WNOHANG, NULL); }
static void call_waitid(void) { waitid(P_ALL, 0, NULL, WEXITED | WNOHANG); }
static char *no_words[] = {"none", NULL};
static void call_execve(void) { execve("/nonexistent/none", no_words, no_words); }
static void call_execvp(void) { execvp("/nonexistent/none", no_words); }
static void call_execl(void) { execl("/nonexistent/none", "none", (char *)NULL); }
static void call_posix_spawn(void) {
    pid_t pid;
    posix_spawn(&pid, "/nonexistent/none", NULL, NULL, no_words, no_words);
}
static void call_fork(void) { forks(); }
static void call_getrlimit(void) { struct rlimit limit; getrlimit(RLIMIT_AS, &limit); }
static void call_setrlimit(void) {
    struct rlimit limit = {RLIM_INFINITY, RLIM_INFINITY};
    setrlimit(RLIMIT_AS, &limit);
}
static void call_prctl(void) { prctl(PR_GET_DUMPABLE, 0, 0, 0, 0); }
static void call_syscall(void) { syscall(SYS_getppid); }
static void call_dlclose(void) { dlclose(block); block = NULL; }
static pthread_t created;
static void call_pthread_create(void) {
    check(pthread_create(&created, NULL, ends, NULL) == 0, "pthread_create");
}
static void joins(void) { pthread_join(created, NULL); }

static const struct call {
    const char *name;
    void (*before)(void), (*call)(void), (*after)(void);
} calls[] = {
    {"malloc, called by compiled code", nothing, call_compiled, frees},
    {"malloc, called by compiled code without frames", nothing, call_frameless, frees},
    {"malloc", nothing, call_malloc, frees},
    {"calloc", nothing, call_calloc, frees},
    {"realloc", allocates, call_realloc, frees},
    {"reallocarray", allocates, call_reallocarray, frees},
    {"memalign", nothing, call_memalign, frees},
    {"aligned_alloc", nothing, call_aligned_alloc, frees},
    {"posix_memalign", nothing, call_posix_memalign, frees},
    {"valloc", nothing, call_valloc, frees},
    {"pvalloc", nothing, call_pvalloc, frees},
    {"free", allocates, call_free, nothing},
    {"malloc_usable_size", allocates, call_usable, frees},
    {"mmap", nothing, call_mmap, call_munmap},
    {"munmap", maps, call_munmap, nothing},
    {"accept", connects, call_accept, closes},
    {"accept4", connects, call_accept4, closes},
    {"read", asks, call_read, closes},
    {"readv", asks, call_readv, closes},
    {"recv", asks, call_recv, closes},
    {"recvfrom", asks, call_recvfrom, closes},
    {"recvmsg", asks, call_recvmsg, closes},
    {"recvmmsg", asks, call_recvmmsg, closes},
    {"write", is_asked, call_write, closes},
    {"writev", is_asked, call_writev, closes},
    {"send", is_asked, call_send, closes},
    {"sendto", is_asked, call_sendto, closes},
    {"sendmsg", is_asked, call_sendmsg, closes},
    {"sendmmsg", is_asked, call_sendmmsg, closes},
    {"sendfile", is_asked, call_sendfile, closes},
    {"splice", is_asked, call_splice, closes},
    {"shutdown", is_asked, call_shutdown, closes},
    {"close", is_asked, call_close, closes},
    {"close_range", is_asked, call_close_range, closes},
    {"dup", opens, call_dup, closes},
    {"dup2", opens, call_dup2, closes},
    {"dup3", opens, call_dup3, closes},
    {"fcntl", opens, call_fcntl, closes},
    {"fdopen", opens, call_fdopen, closes_stream},
    {"fclose", opens_stream, call_fclose, closes},
    {"poll", nothing, call_poll, nothing},
    {"ppoll", nothing, call_ppoll, nothing},
    {"select", nothing, call_select, nothing},
    {"pselect", nothing, call_pselect, nothing},
    {"epoll_wait", nothing, call_epoll_wait, nothing},
    {"epoll_pwait", nothing, call_epoll_pwait, nothing},
    {"sem_wait", posts, call_sem_wait, nothing},
    {"sem_timedwait", nothing, call_sem_timedwait, nothing},
    {"pthread_cond_timedwait", locks, call_cond_timedwait, unlocks},
    {"pthread_mutex_lock", nothing, call_mutex_lock, unlocks},
    {"pthread_mutex_trylock", nothing, call_mutex_trylock, unlocks},
    {"pthread_mutex_timedlock", nothing, call_mutex_timedlock, unlocks},
    {"pthread_create", nothing, call_pthread_create, joins},
    {"leak_begin", nothing, call_begin, ends_job},
    {"leak_end", begins, call_end, nothing},
    {"leak_mark", nothing, call_mark, nothing},
    {"wait4", forks, call_wait4, reaps},
    {"waitid", forks, call_waitid, reaps},
    {"execve", nothing, call_execve, nothing},
    {"execvp", nothing, call_execvp, nothing},
    {"execl", nothing, call_execl, nothing},
    {"posix_spawn", nothing, call_posix_spawn, nothing},
    {"fork", nothing, call_fork, reaps},
    {"getrlimit", nothing, call_getrlimit, nothing},
    {"setrlimit", nothing, call_setrlimit, nothing},
    {"prctl", nothing, call_prctl, nothing},
    {"syscall", nothing, call_syscall, nothing},
    {"dlclose", loads, call_dlclose, nothing},
};

static char *stack;

// How far below this frame `call` writes.
__attribute__((noinline)) static size_t depth_of(void (*call)(void)) {
    register char *here asm("rsp");
    char *top = here;
    for (volatile char *at = stack; at < top; at++) *at = PAINT;
    call();
    const volatile char *low = stack;
    while (low < top && *low == PAINT) low++;
    return top - low;
}

static const struct call *current;
static size_t depth, first, later;
static ucontext_t inside, outside;

static void measure(void) { depth = depth_of(current->call); }
static void handle(int signal) { (void)signal; measure(); }

static void measure_in_coroutine(void) {
    getcontext(&inside);
    inside.uc_stack.ss_sp = stack;
    inside.uc_stack.ss_size = COROUTINE;
    inside.uc_link = &outside;
    makecontext(&inside, measure, 0);
    swapcontext(&outside, &inside);
}

static void measure_in_handler(void) {
    stack_t alternate = {.ss_sp = stack, .ss_size = SIZE};
    sigaltstack(&alternate, NULL);
    raise(SIGUSR1);
}

static void (*place)(void);

static void *measure_all(void *unused) {
    place();
    first = depth;
    later = 0;
    for (int n = 0; n < LATER; n++) {
        current->after();
        current->before();
        place();
        if (depth > later) later = depth;
    }
    return unused;
}

// A filter that forbids next to nothing.
static void confine(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_reboot, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    check(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0, "no_new_privs");
    check(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0, "seccomp");
}

int main(int count, char **words) {
    const char *where = count > 1 ? words[1] : "thread";
    signal(SIGPIPE, SIG_IGN);
    struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
    sigaction(SIGUSR1, &action, NULL);
    listening = socket(AF_INET, SOCK_STREAM, 0);
    check(listen(listening, 5) == 0, "listen");
    check(pipe(pipes) == 0 && write(pipes[1], bytes, 100) == 100, "pipe");
    file = open("/proc/self/exe", O_RDONLY);
    epoll = epoll_create1(0);
    memset(label, 'l', sizeof label - 1);
    compile();
    // Nothing lies below it.
    stack = mmap(NULL, 2 * SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    stack += SIZE;
    mprotect(stack, SIZE, PROT_READ | PROT_WRITE);
    pthread_attr_t attributes;
    pthread_attr_init(&attributes);
    place = measure;
    int confined = strcmp(where, "confined") == 0;
    if (confined) confine();
    if (confined || strcmp(where, "coroutine") == 0)
        place = measure_in_coroutine;
    else if (strcmp(where, "handler") == 0)
        place = measure_in_handler;
    else
        pthread_attr_setstack(&attributes, stack, SIZE);
    for (size_t n = 0; n < sizeof calls / sizeof *calls; n++) {
        pthread_t thread;
        current = calls + n;
        current->before();
        if (confined) {
            measure_all(NULL);
        } else {
            check(pthread_create(&thread, &attributes, measure_all, NULL) == 0, "pthread_create");
            pthread_join(thread, NULL);
        }
        current->after();
        printf("%s: %zu %zu\n", current->name, first, later);
    }
    return 0;
}
