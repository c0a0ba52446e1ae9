# part: quick
# packages: valgrind gcc libc6-dev
# output: s/==[0-9]+==/==PID==/
# output: /Command:|Memcheck|Copyright|Using Valgrind|allocs|in use at exit|freed/d
cat > a.c <<< 'int main(void) { return 3; }'
gcc -static a.c -o a && valgrind -q ./a; echo $?
