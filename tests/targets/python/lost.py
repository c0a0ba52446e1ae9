"""A server that keeps the vehicles of every request that fails.

usage: lost.py PORT

GET /vehicles: makes 1,000 of them. GET /vehicles/lost: the same, and an exception; they stay in a list.
"""
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

VEHICLES = 1000
kept = []


class FloatingVehicle:
    def __init__(self, number):
        self.number = number
        self.position = None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        vehicles = [FloatingVehicle(number) for number in range(VEHICLES)]
        try:
            if self.path.endswith("lost"):
                raise LookupError("there is no map")
            status = 200
        except LookupError:
            kept.append(vehicles)
            status = 500
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
