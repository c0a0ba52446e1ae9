# packages: ed patch
cp "$REPOSITORY/README.md" a; printf '%s\n' ',s/leak/LEAK/g' '1,3p' 'g/^#/s/$/!/' '/How/,+2d' 'w b' q | ed -s a; md5sum b
diff -u a b > c; cp a d; patch -s d c && cmp b d && echo patched; echo 'Z' | ed -s nowhere; echo $?
