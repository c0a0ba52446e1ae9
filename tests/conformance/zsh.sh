# packages: zsh
cat > script <<'END'
typeset -A words; for word in ${(f)"$(tr -cs 'A-Za-z' '\n' < $REPOSITORY/README.md | head -1500)"}; do (( words[$word]++ )); done
print ${#words} ${(k)words[(r)12]}; mkdir -p deep/er; touch deep/er/{1..9}; print -l deep/**/*(N) | wc -l; a=({1..500}); print ${(j:,:)a[1,10]} ${#${(O)a}}
coproc cat; print -p through; read -p line; print $line; coproc :; [[ abc == (#b)(a)* ]] && print $match; print ${${:-x}/x/y}
zmodload zsh/datetime zsh/mathfunc; print $(( int(sqrt(1764)) )); (exit 4) || print $?; TRAPEXIT() { print bye }; exit 5
END
zsh -f script; echo $?
