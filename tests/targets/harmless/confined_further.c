// library: plugin.c
// Behind a filter that kills at any other system call: allocates on a stack of its own making, and opens a library by a
// relative path, which allocates, too.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <libgen.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ALLOW(call) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_##call, 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static char stack[64 << 10] __attribute__((aligned(16)));
static void *kept[2];

static __attribute__((noinline)) void allocate(void) {
    // Who has called lies some pages away.
    volatile char frame[12000];
    frame[0] = 1;
    (void)frame[0];
    free(malloc(100));
    kept[0] = malloc(200);
}

// Calls allocate() with the stack pointer elsewhere.
static __attribute__((noinline)) void elsewhere(void) {
    __asm__ volatile("mov %%rsp, %%rbx\n\tmov %0, %%rsp\n\tcall *%1\n\tmov %%rbx, %%rsp"
                     :
                     : "r"(stack + sizeof stack), "r"(allocate)
                     : "rbx", "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc");
}

int main(void) {
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ALLOW(read), ALLOW(pread64), ALLOW(write), ALLOW(openat), ALLOW(close), ALLOW(fstat), ALLOW(newfstatat),
        ALLOW(brk), ALLOW(mmap), ALLOW(munmap), ALLOW(mprotect), ALLOW(getcwd), ALLOW(futex), ALLOW(exit_group),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
    };
    struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
    char *path = strdup(getenv("LIBRARY")), *name = strdup(path), relative[300];
    if (chdir(dirname(path)) != 0)
        return 1;
    snprintf(relative, sizeof relative, "./%s", basename(name));
    printf("confined\n");
    fflush(stdout);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) != 0)
        return 2;
    elsewhere();
    void *library = dlopen(relative, RTLD_NOW);
    if (!library)
        return 3;
    kept[1] = ((void *(*)(void))dlsym(library, "keep"))();
    printf("done\n");
    return kept[0] && kept[1] ? 7 : 4;
}
