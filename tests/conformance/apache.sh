# part: quick
# packages: apache2 curl
mkdir site; seq 5000 > site/numbers; modules=/usr/lib/apache2/modules
cat > conf <<END
ServerRoot $PWD
ServerName localhost
PidFile $PWD/pid
Listen 127.0.0.1:$PORT
ErrorLog $PWD/error
LoadModule mpm_event_module $modules/mod_mpm_event.so
LoadModule authz_core_module $modules/mod_authz_core.so
LoadModule dir_module $modules/mod_dir.so
LoadModule deflate_module $modules/mod_deflate.so
LoadModule filter_module $modules/mod_filter.so
StartServers 2
ThreadsPerChild 4
MaxRequestWorkers 8
DocumentRoot $PWD/site
SetOutputFilter DEFLATE
User www-data
Group www-data
END
chmod 755 . ; apache2 -f "$PWD/conf" -k start && echo started
for _ in $(seq 100); do curl -s -o /dev/null "http://127.0.0.1:$PORT/numbers" && break; sleep 0.05; done
for path in numbers missing numbers; do for _ in 1 2 3; do curl -s --compressed "http://127.0.0.1:$PORT/$path" | sed "s/$PORT/PORT/" | md5sum; done; done
pid=$(cat pid); apache2 -f "$PWD/conf" -k stop; while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done; echo stopped; grep -c 'caught SIGTERM' error
