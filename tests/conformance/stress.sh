# packages: stress-ng
# output: s/^stress-ng: [a-z]+: +\[[0-9]+\] //
# output: s/in [0-9.]+s.*//
# output: /(setting to|dispatching|note:|process CPU affinity|skipped|passed|untrustworthy|metrics)/d
for stressor in malloc bigheap brk fork vfork pthread clone fault context longjmp sigsegv tree bsearch hsearch skiplist sem mmapfork vm-splice daemon zombie sigpipe; do
  stress-ng --$stressor 2 --$stressor-ops 300 --timeout 60 --temp-path . 2>&1; echo "$stressor $?"
done
stress-ng --malloc 1 --malloc-ops 20000 --malloc-pthreads 4 --malloc-bytes 64K --malloc-max 2000 2>&1; echo $?
