# packages: php-cli curl
cat > a.php <<'END'
<?php
$text = file_get_contents(getenv('REPOSITORY') . '/README.md'); preg_match_all('/\w+/', $text, $found);
$count = array_count_values($found[0]); arsort($count); echo json_encode(array_slice($count, 0, 5)), "\n";
$tree = []; for ($i = 0; $i < 50000; $i++) $tree["k$i"] = [$i, str_repeat('x', $i % 100)]; echo strlen(serialize($tree)), "\n";
usort($found[0], fn($a, $b) => strlen($b) <=> strlen($a) ?: strcmp($a, $b)); echo $found[0][0], "\n";
try { intdiv(1, 0); } catch (DivisionByZeroError $e) { echo get_class($e), "\n"; } echo shell_exec('echo child'); exit(4);
END
php a.php; echo $?; php -S "127.0.0.1:$PORT" a.php > /dev/null 2>&1 & server=$!
for _ in $(seq 100); do curl -s -o out "http://127.0.0.1:$PORT/" && break; sleep 0.05; done; md5sum < out; kill -INT $server; wait $server; echo $?
