# packages: gawk rsync
gawk 'BEGIN { PROCINFO["sorted_in"] = "@ind_str_asc" } { n = split($0, w, /[^a-zA-Z]+/); for (i = 1; i <= n; i++) c[w[i]]++ } END { for (k in c) if (c[k] > 15) print k, c[k] }' "$REPOSITORY/README.md"
gawk 'BEGIN { for (i = 0; i < 200000; i++) a[i % 5000] = a[i % 5000] "x"; print length(a), length(a[1]); print strftime("%F", 0, 1); "echo child" | getline x; print x; print gensub(/(b)/, "<\\1>", "g", "abcb"); exit 3 }'; echo $?
rsync -a --exclude target --exclude .git "$REPOSITORY/preload/" copy/ && diff -rq "$REPOSITORY/preload" copy && echo same; rsync -ain --delete "$REPOSITORY/preload/src/" copy/ | head -3 | cut -c1-11
