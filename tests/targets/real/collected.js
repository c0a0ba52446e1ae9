// An HTTP server whose memory waits for V8's collector, until SIGTERM: each path leaves a Buffer of its own size, whose
// bytes malloc gave.
'use strict';
const http = require('http');

const NEWEST = 20;
const newest = [];
const kept = [];

const paths = {
  '/plain': () => {},
  // Dropped at once.
  '/dropped': () => Buffer.alloc(21000),
  // The newest are in use.
  '/newest': () => {
    newest.push(Buffer.alloc(22000));
    if (newest.length > NEWEST) newest.shift();
  },
  // All are.
  '/kept': () => kept.push(Buffer.alloc(23000)),
};

const server = http.createServer((request, response) => {
  paths[request.url]();
  response.end('ok\n');
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => process.exit(0));
