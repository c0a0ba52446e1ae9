// Says where a program crashed, as libSegFault did, on a stack of its own, and lets it.
#include <execinfo.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>

static void handle(int number) {
  void *frames[32];
  const char *text = backtrace(frames, 32) > 2 ? "crashed\n" : "crashed, nowhere\n";
  for (const char *end = text; *end; end++)
    if (write(2, end, 1) != 1) _exit(1);
  signal(number, SIG_DFL);
}

__attribute__((constructor)) static void begin(void) {
  void *frames[2];
  stack_t stack = {.ss_sp = malloc(1 << 16), .ss_size = 1 << 16};
  struct sigaction action = {.sa_handler = handle, .sa_flags = SA_ONSTACK};
  backtrace(frames, 2);
  sigaltstack(&stack, NULL);
  sigaction(SIGSEGV, &action, NULL);
}
