// The endpoints on Node's own HTTP server. What is kept is memory outside JavaScript's heap, which malloc gives: its
// size tells the endpoints apart, because no native frame does.
'use strict';
const http = require('http');

const sizes = {
  clean: 5000, leak: 5200, status: 5400, tenth: 5600, bounded: 5800, warm: 6000, shared: 6200, background: 6400,
};
const truth = {
  clean: 0, leak: 0, status: 0, tenth: 0, bounded: 0, warm: 0, 'shared-a': 0, 'shared-b': 0, background: 0,
};
const kept = [];
const ring = new Array(16).fill(null);
let turns = 0;

function use_clean(n) {
  const dropped = [];
  for (let i = 0; i < 50; i++) dropped.push(Buffer.allocUnsafeSlow(sizes.clean).fill(n));
}

function keep_leak(n) {
  for (let i = 0; i < 50; i++) kept.push(Buffer.allocUnsafeSlow(sizes.leak).fill(n));
}

function keep_status(n) {
  for (let i = 0; i < 50; i++) kept.push(Buffer.allocUnsafeSlow(sizes.status).fill(n));
}

function keep_tenth(n) {
  for (let i = 0; i < 50; i++) kept.push(Buffer.allocUnsafeSlow(sizes.tenth).fill(n));
}

function keep_bounded(n) {
  // Turns, not n: requests are served in any order, and each is to replace the oldest entry.
  ring[turns % 16] = Buffer.allocUnsafeSlow(sizes.bounded).fill(n);
  return turns++ < 16;
}

function keep_warm(n) {
  kept.push(Buffer.allocUnsafeSlow(sizes.warm).fill(n));
}

function keep_shared(n, objects) {
  for (let i = 0; i < objects; i++) kept.push(Buffer.allocUnsafeSlow(sizes.shared).fill(n));
}

function keep_background(n) {
  kept.push(Buffer.allocUnsafeSlow(sizes.background).fill(n));
}

// Does what request n of an endpoint does, and counts what it keeps. Both follow from the endpoint and n alone.
function act(kind, n) {
  let objects = 0;
  if (kind === 'clean') {
    use_clean(n);
  } else if (kind === 'leak') {
    keep_leak(n);
    objects = 50;
  } else if (kind === 'status' && n % 4 === 3) {
    keep_status(n);
    objects = 50;
  } else if (kind === 'tenth' && n % 10 === 0) {
    keep_tenth(n);
    objects = 50;
  } else if (kind === 'bounded') {
    objects = keep_bounded(n) ? 1 : 0;
  } else if (kind === 'warm' && n < 5) {
    keep_warm(n);
    objects = 1;
  } else if (kind === 'shared-a' || kind === 'shared-b') {
    objects = kind === 'shared-a' ? 25 : 50;
    // The only call, so that no frame tells the two endpoints apart.
    keep_shared(n, objects);
  }
  truth[kind] += objects;
}

const server = http.createServer((request, response) => {
  if (request.url === '/truth') {
    response.end(JSON.stringify(truth));
    return;
  }
  const [, kind, number] = request.url.split('/');
  const n = Number(number);
  if (!(kind in truth)) {
    response.writeHead(404);
    response.end();
    return;
  }
  // Waits before and after, as for a database, so that others are served meanwhile.
  setTimeout(() => {
    act(kind, n);
    setTimeout(() => {
      response.writeHead(kind === 'status' && n % 4 === 3 ? 500 : 200);
      response.end(`${kind} ${n}\n`);
    }, 1 + (n + 1) % 2);
  }, 1 + n % 2);
});

let ticks = 0;
setInterval(() => {
  keep_background(ticks++);
  truth.background++;
}, 10);

process.on('SIGTERM', () => process.exit(0));
server.listen(Number(process.argv[2]), '127.0.0.1');
