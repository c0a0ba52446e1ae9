# part: quick
# packages: redis-server redis-tools
redis-server --port "$PORT" --save '' --daemonize no --logfile log & server=$!
r() { redis-cli -p "$PORT" "$@"; }
for _ in $(seq 100); do [ "$(r ping 2>/dev/null)" = PONG ] && break; sleep 0.05; done
r set a 1; r incr a; for i in $(seq 40); do echo "lpush list $i"; echo "hset h f$i $i"; done | r > /dev/null
r lrange list 0 5; r hlen h; r eval 'return redis.call("llen", KEYS[1]) * 2' 1 list; r zadd z 1 a 2 b; r zrange z 0 -1
r nonesuch; r setex gone 1 x; r type list; r save; r shutdown nosave; wait $server; echo $?
