# part: quick
# packages: dash
cat > script <<'END'
i=0; while [ $i -lt 2000 ]; do i=$((i + 1)); x="$x$i"; done; echo ${#x}
echo "$x" | cut -c 1-60 | tr 1 l; set -- $(seq 300); echo $#
( sleep 0.01 & wait $!; echo waited $? ); trap 'echo term' TERM; kill -TERM $$
for i in 1 2 3 4 5; do echo $i | (read a; exit $a); echo $?; done
eval 'f() { echo f $1; return 3; }'; f 1; exit $?
END
dash script
