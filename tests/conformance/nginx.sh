# part: quick
# packages: nginx-light curl
mkdir logs site; seq 5000 > site/numbers; echo hello > site/index.html
cat > nginx.conf <<END
daemon on; worker_processes 2; pid $PWD/pid; error_log $PWD/logs/error;
events { worker_connections 64; }
http { access_log off; root $PWD/site; gzip on; gzip_types *; client_body_temp_path $PWD/body; proxy_temp_path $PWD/proxy;
 fastcgi_temp_path $PWD/f; uwsgi_temp_path $PWD/u; scgi_temp_path $PWD/s;
 server { listen 127.0.0.1:$PORT; location /again { proxy_pass http://127.0.0.1:$PORT/numbers; } } }
END
nginx -p "$PWD" -e logs/error -c "$PWD/nginx.conf" && echo started
for path in '' numbers again missing; do for _ in 1 2 3 4 5; do curl -s -o out -w '%{http_code} %{size_download}\n' --compressed "http://127.0.0.1:$PORT/$path"; md5sum < out; done; done
nginx -p "$PWD" -e logs/error -c "$PWD/nginx.conf" -s reload; sleep 0.3; curl -s "http://127.0.0.1:$PORT/"
pid=$(cat pid); nginx -p "$PWD" -e logs/error -c "$PWD/nginx.conf" -s quit; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; echo stopped
