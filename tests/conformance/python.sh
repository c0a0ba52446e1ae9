# part: quick
# packages: python3
cat > a.py <<'END'
import collections, ctypes, hashlib, json, multiprocessing, os, re, sqlite3, subprocess, sys, threading
text = open(os.environ['REPOSITORY'] + '/README.md').read()
print(collections.Counter(re.findall(r'\w+', text)).most_common(5))
print(hashlib.sha256(json.dumps({i: [str(i)] * 5 for i in range(20000)}).encode()).hexdigest())
db = sqlite3.connect(':memory:'); db.execute('create table t (a, b)')
db.executemany('insert into t values (?, ?)', ((i, 'x' * i) for i in range(1000)))
print(db.execute('select count(*), sum(length(b)) from t where a % 3').fetchall())
def work(n): return sum(i * i for i in range(n))
if __name__ == '__main__':
    with multiprocessing.Pool(2) as pool: print(sum(pool.map(work, range(200))))
    done = []; threads = [threading.Thread(target=lambda i=i: done.append(work(i))) for i in range(50)]
    [t.start() for t in threads]; [t.join() for t in threads]; print(sum(done))
    print(subprocess.run(['sh', '-c', 'echo child; exit 3'], capture_output=True))
    pid = os.fork()
    if pid == 0: os._exit(4)
    print(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])); ctypes.CDLL(None).malloc(1000); sys.exit(6)
END
PYTHONHASHSEED=0 python3 a.py; echo $?; python3 -c 'raise SystemExit("bye")'; echo $?
