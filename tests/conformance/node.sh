# part: quick
# packages: nodejs
cat > a.js <<'END'
const fs = require('fs'), zlib = require('zlib'), crypto = require('crypto'), { execSync } = require('child_process');
const { Worker, isMainThread, parentPort } = require('worker_threads');
if (!isMainThread) { parentPort.postMessage([...Array(1000).keys()].reduce((a, b) => a + b)); return; }
const text = fs.readFileSync(process.env.REPOSITORY + '/README.md');
console.log(crypto.createHash('sha256').update(zlib.gunzipSync(zlib.gzipSync(text))).digest('hex'));
console.log(JSON.stringify(Object.fromEntries([...Array(5000)].map((_, i) => ['k' + i, { i }]))).length);
console.log(execSync('echo child').toString().trim());
new Worker(__filename).on('message', sum => { console.log(sum); setTimeout(() => process.exit(7), 10); });
END
node a.js; echo $?
