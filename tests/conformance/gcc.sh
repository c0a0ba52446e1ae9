# part: quick
# packages: gcc libc6-dev binutils
cat > a.c <<'END'
#include <stdio.h>
#include <stdlib.h>
static int compare(const void *a, const void *b) { return *(const int *)a - *(const int *)b; }
int main(void) {
  int *numbers = malloc(1000 * sizeof *numbers);
  for (int i = 0; i < 1000; i++) numbers[i] = i * 7919 % 1000;
  qsort(numbers, 1000, sizeof *numbers, compare);
  printf("%d %d\n", numbers[0], numbers[999]);
}
END
gcc -O2 -g -flto -Wall a.c -o a && ./a && objdump -d a | grep -c ret
gcc -O2 -S -o - a.c | md5sum; gcc -c -x c - -o b.o <<< 'int f(int x) { return x / 0 }' 2>&1; echo $?
ar rcs liba.a a && nm a | grep -c ' [tT] '; strip a && ./a
