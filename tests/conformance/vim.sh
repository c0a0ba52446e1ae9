# packages: vim-nox
cp "$REPOSITORY/README.md" a.md
vim -u NONE -N -es a.md -c 'set ft=markdown | syntax on | %s/leak/LEAK/g | sort | g/^$/d | 1,5p | let x = map(range(5000), "v:val * 2") | call writefile([string(len(x)), system("echo child")], "b") | w! c | cq 3' ; echo $?
cat b; md5sum < c; printf '%s\n' 'ihello' 'x' $'\e:wq d\r' | vim -u NONE -es -s - > /dev/null 2>&1; echo $?
