# packages: gdb gcc libc6-dev
# output: s/process [0-9]+/process N/
# output: /(debuginfod|Downloading|libthread_db|warning:)/d
# output: s/0x[0-9a-f]+/ADDRESS/g
cat > a.c <<'END'
#include <stdlib.h>
struct node { int value; struct node *next; };
static int sum(struct node *node) { return node ? node->value + sum(node->next) : 0; }
int main(void) {
  struct node *list = NULL;
  for (int i = 0; i < 5; i++) { struct node *node = malloc(sizeof *node); node->value = i; node->next = list; list = node; }
  return sum(list);
}
END
gcc -g a.c -o a; export DEBUGINFOD_URLS=
gdb -q -nx -batch -ex 'info functions sum' -ex 'ptype struct node' -ex 'disassemble sum' -ex 'break sum if node == 0' -ex run -ex bt -ex 'print *list@1' -ex 'up' -ex 'info locals' -ex continue -ex 'python print(sum(range(10)))' ./a 2>&1; echo $?
