// An HTTP server on node's own module, until SIGTERM.
const http = require('http');

const server = http.createServer((request, response) => {
  const path = request.url.split('?')[0];
  let body = '';
  request.on('data', (part) => (body += part));
  request.on('end', () => {
    if (path === '/hello') response.end('hello\n');
    else if (path.startsWith('/items/')) response.end(JSON.stringify({ item: path.slice(7) }));
    else if (path === '/echo') response.end(body);
    else {
      response.statusCode = 404;
      response.end('nothing here\n');
    }
  });
});
server.listen(Number(process.argv[2]), '127.0.0.1');
process.on('SIGTERM', () => {
  server.close(() => process.exit(0));
  server.closeAllConnections();
});
