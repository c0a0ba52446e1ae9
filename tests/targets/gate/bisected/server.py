#!/usr/bin/python3
"""Orders over HTTP, on 127.0.0.1 and the port that PORT names."""
import os
from http.server import BaseHTTPRequestHandler, HTTPServer

# What is worked on now.
ASKED = {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self):
        body = order(self.path.split("/")[-1]).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def order(number):
    ASKED[number] = f"order {number}: " + "a book, " * 20
    return ASKED.pop(number)


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
