# part: quick
# packages: coreutils findutils grep sed mawk diffutils
seq 200000 | sort -R --random-source=<(yes) | sort -n --parallel=2 | md5sum
seq 50000 | awk '{ s += $1; a[$1 % 97] = a[$1 % 97] $1 } END { print s, length(a[3]) }'
find "$REPOSITORY/preload" "$REPOSITORY/tests" -name '*.rs' -print0 | sort -z | xargs -0 -P 2 -n 20 cat | wc -c
grep -rEoh 'fn [a-z_]+' "$REPOSITORY/preload/src" | sort | uniq -c | sort -rn | head -5
sed -nE 's/^([a-z]+) .*$/\1/p' "$REPOSITORY/README.md" | sort -u | head -5
diff <(seq 1 3 500) <(seq 1 2 500) | md5sum
split -l 1000 <(seq 10000) part. && cat part.* | sha256sum && ls part.* | tac | paste -sd,
join <(seq 100 | sort) <(seq 50 150 | sort) | shuf --random-source=<(yes) | head -3
timeout 0.2 sleep 5; echo $?; nice -n 1 env -i X=1 env | head -1; factor 123456789012
date -d @86400 +%F; stat -c %a part.aa; printf '%q\n' "a b"; tsort <<< "a b b c"; numfmt --to=iec 123456
