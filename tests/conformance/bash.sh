# part: quick
# packages: bash
shopt -s extglob nullglob
declare -A count
while read -r word; do ((count[$word]++)); done < <(tr -cs 'A-Za-z' '\n' < "$REPOSITORY/README.md" | head -2000)
for word in "${!count[@]}"; do echo "${count[$word]} $word"; done | sort -rn | head -20
coproc cat; echo through >&"${COPROC[1]}"; read -r line <&"${COPROC[0]}"; echo "$line"
exec {COPROC[1]}>&-; wait
trap 'echo bye; exit 5' EXIT
trap 'echo usr1' USR1; kill -USR1 $$
f() { local -n out=$1; out=$((RANDOM * 0 + 42)); }; f answer; echo $answer
for i in {1..50}; do (exit "$i") || echo -n "$? "; done; echo
printf '%s\n' {a..e}{1..9} | while read -r x; do echo "${x^^}"; done | md5sum
diff <(seq 100) <(seq 2 101); (ulimit -n 20; ls / > /dev/null; echo small $?)
