# part: quick
# packages: memcached
memcached -l 127.0.0.1 -p "$PORT" -u nobody -t 2 & server=$!
for _ in $(seq 100); do (exec 3<>"/dev/tcp/127.0.0.1/$PORT") 2>/dev/null && break; sleep 0.05; done
exec 3<>"/dev/tcp/127.0.0.1/$PORT"
for i in $(seq 200); do printf 'set key%d 0 0 %d\r\n%s\r\n' "$i" ${#i} "$i"; done >&3
for _ in $(seq 200); do read -r line <&3; echo "$line"; done | sort | uniq -c
printf 'get key7 key42 none\r\nincr key7 5\r\ndelete key9\r\nquit\r\n' >&3; cat <&3; kill -INT $server; wait $server; echo $?
