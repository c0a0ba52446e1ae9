# packages: jq bc
seq 5000 | jq -s 'map({key: tostring, value: {n: ., odd: (. % 2 == 1)}}) | from_entries' > a.json
jq -c '[.[] | select(.odd) | .n] | add, length' a.json; jq -r 'keys[:5] | @csv' a.json; jq '.x.y.z' <<< '[1'; echo $?
jq -n '[limit(5; range(100) | select(. * . > 50))] | group_by(. % 2)' -c; echo '{"a":[1,{"b":null}]}' | jq -c 'paths'
echo 'scale=200; 4*a(1); 2^500; define f(x) { if (x < 2) return (1); return (x * f(x - 1)); } f(60)' | bc -lq
