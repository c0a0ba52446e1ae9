# packages: strace
strace -f -c -o summary sh -c 'ls / > /dev/null; echo a | cat'; echo $?; head -1 summary | wc -w
strace -f -e trace=none -o none env -u LD_PRELOAD sh -c 'exit 7'; echo $?
