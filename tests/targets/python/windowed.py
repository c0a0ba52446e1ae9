"""A server with a thread for each connection. `/keep/N` keeps 100 vehicles, `/ok` makes 100 and lets them go."""

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Vehicle:
    __slots__ = ()


kept = []


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def do_GET(self):
        made = [Vehicle() for _ in range(100)]
        if self.path.startswith("/keep"):
            kept.append(made)
        self.send_response(500 if self.path.startswith("/keep") else 200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")


server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
server.daemon_threads = True
server.serve_forever()
