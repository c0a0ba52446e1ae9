# part: quick
# packages: openssl curl
openssl genrsa -out key 2048 2>/dev/null && openssl req -new -x509 -key key -subj /CN=localhost -days 1 -out certificate
openssl x509 -in certificate -noout -subject; seq 1000 > file; openssl dgst -sha256 file
openssl enc -aes-256-cbc -pbkdf2 -pass pass:x -in file -out secret && openssl enc -d -aes-256-cbc -pbkdf2 -pass pass:x -in secret | md5sum
openssl s_server -accept "$PORT" -key key -cert certificate -WWW -quiet > /dev/null 2>&1 & server=$!
for _ in $(seq 100); do curl -sk "https://localhost:$PORT/file" -o got && break; sleep 0.1; done
md5sum < got; kill $server; wait $server; echo $?; curl -s http://localhost:1/; echo $?
