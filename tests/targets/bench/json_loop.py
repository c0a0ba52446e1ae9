"""json_loop.py ROUNDS: writes and reads the same document again and again."""
import json
import sys

document = {f"key {n}": {"number": n, "list": [n, n * 0.5, str(n)], "text": "x" * (n % 40)} for n in range(400)}
for _ in range(int(sys.argv[1])):
    json.loads(json.dumps(document))
