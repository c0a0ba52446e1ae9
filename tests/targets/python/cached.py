"""A server with caches of bounded size, of which none is full.

usage: cached.py PORT

GET /route/N: looks N up in a cache. GET /client/N: asks the one client in a cache, which keeps a record of each
question. GET /kept/N: looks up, and keeps the result in a list, too. GET /named/N: puts a record into the one dict in
a cache. GET /recent/N: remembers N in a deque of bounded length. GET /place/N: looks a place up whose attributes are in
slots, and adds to it.
"""
import collections
import functools
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

kept = []
recent = collections.deque(maxlen=1000)


class Route:
    def __init__(self, number):
        self.path = "/route/" + number
        self.words = {"number": number + "!", "parts": ["of " + number, (number + "?", float(number))]}


class Record:
    __slots__ = ("number",)

    def __init__(self, number):
        self.number = number


class Place:
    __slots__ = ("name", "known")

    def __init__(self, number):
        self.name = "place " + number
        self.known = {}


class Spot(Place):
    __slots__ = ("where", "__weakref__")

    def __init__(self, number):
        super().__init__(number)
        self.where = (number + " north", number + " east")


class Client:
    def __init__(self):
        self.records = []


@functools.lru_cache(maxsize=4096)
def route(number):
    return Route(number)


@functools.lru_cache(maxsize=4096)
def place(number):
    return Spot(number)


@functools.lru_cache(maxsize=4)
def client():
    return Client()


@functools.lru_cache(maxsize=4)
def names(kind):
    return {}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        _, endpoint, number = self.path.split("/")
        if endpoint == "route":
            route(number)
        elif endpoint == "place":
            spot = place(number)
            spot.known["text"] = "known of " + number
            spot.known["parts"] = [spot.name + "!", float(number)]
        elif endpoint == "client":
            client().records.append(Record(number))
        elif endpoint == "named":
            names("all")[number] = Record(number)
        elif endpoint == "recent":
            recent.append(("number", number + "!", [number + "?"]))
        else:
            kept.append(route(number))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


try:
    HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
except KeyboardInterrupt:
    pass
