// An allocator whose malloc jumps back to its own beginning, where a detour would lie.
#include <stddef.h>
#include <unistd.h>

static char pool[1 << 20];
size_t used;

__asm__(".globl malloc\n"
        ".type malloc, @function\n"
        "malloc: push %rdi\n"
        "again: xor %eax, %eax\n"
        "mov used(%rip), %rax\n"
        "lea 31(%rax,%rdi), %rdx\n"
        "and $-16, %rdx\n"
        "lock cmpxchg %rdx, used(%rip)\n"
        "jne again\n"
        "pop %rdi\n"
        "mov %rax, %rdi\n"
        "jmp place\n"
        ".size malloc, . - malloc\n");

__attribute__((used)) void *place(size_t at) { return pool + at; }

void *malloc(size_t size);

void free(void *block) { (void)block; }

int main(void) {
    char *block = malloc(100);
    *block = 'a';
    free(block);
    return write(1, block, 1) != 1;
}
