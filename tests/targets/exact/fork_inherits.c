// live at exit: 3 blocks, 350 bytes (2 of the parent, 1 of the child, which frees one that it inherited)
// process: 2 blocks, 150 bytes
// process: 1 block, 200 bytes; inherited 1 block, 50 bytes
// before exit: 2 blocks, 150 bytes
// before exit: 1 block, 200 bytes
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void) {
    void *first = malloc(100), *second = malloc(50);
    pid_t child = fork();
    if (child == 0) {
        free(first);
        free(malloc(10));
        _exit(malloc(200) && second ? 0 : 1);
    }
    int status = 1;
    return waitpid(child, &status, 0) == child && status == 0 ? 0 : 1;
}
