# part: quick
# packages: tar xz-utils gzip zstd bzip2
tar -C "$REPOSITORY" --sort=name --mtime=@0 --owner=0 --group=0 -cf a.tar preload/src analyzer/src
md5sum < a.tar
xz -T 2 -3 --block-size=100KiB -k a.tar && xz -T 2 -dc a.tar.xz | md5sum
zstd -q -T2 -3 a.tar -o a.tar.zst && zstd -dc a.tar.zst | md5sum
gzip -nc a.tar | md5sum; bzip2 -c a.tar | bunzip2 | md5sum
mkdir out && tar -C out -xJf a.tar.xz && diff -r out/preload/src "$REPOSITORY/preload/src" && echo same
tar -tf a.tar | tail -1; tar -xf nowhere.tar; echo $?
