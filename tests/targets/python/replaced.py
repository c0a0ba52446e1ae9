"""A server of one worker at a time, which serves one connection and is replaced.

usage: replaced.py PORT WORKERS

GET /leak keeps an object of each request, GET /clean none. The first worker is started by another line.
"""
import os
import socket
import sys
from http.server import BaseHTTPRequestHandler

kept = []


class Kept:
    __slots__ = ("number",)


def keep():
    kept.append(Kept())


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    served = 0

    def handle(self):
        # By one line: the first request of a connection has another in http.server.
        self.close_connection = False
        while not self.close_connection:
            self.handle_one_request()

    def do_GET(self):
        Handler.served += 1
        if self.path == "/leak":
            keep()
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def work(listener):
    while not Handler.served:
        connection, address = listener.accept()
        Handler(connection, address, None)


listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
for number in range(int(sys.argv[2])):
    pid = os.fork()
    if pid == 0:
        if number == 0:
            work(listener)
        else:
            work(listener)
        os._exit(0)
    os.waitpid(pid, 0)
