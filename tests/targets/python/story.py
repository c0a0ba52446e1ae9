"""An API server that keeps what its failed requests were working on.

usage: story.py threads|wsgi|asyncio PORT [fixed]
       story.py count

GET /areas/N/vehicles: moves the 10,000 vehicles of an area. Areas from 900 on have no map: a LookupError, and the
    answer is 500. The handler keeps the error for a page that lists the latest ones: its traceback refers to the
    frames, and a frame to 10,000 FloatingVehicle. `fixed` keeps nothing.
GET /areas: the areas. Leaves nothing.

`threads` is http.server with a thread for each connection, SIGTERM raising KeyboardInterrupt; `wsgi` is wsgiref,
which SIGTERM kills; `asyncio` a loop that SIGTERM stops, with connections that stay open. `count` serves nobody: it
prints how many bytes a failed request keeps.
"""
import asyncio
import json
import signal
import sys
import tracemalloc
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from wsgiref.simple_server import WSGIRequestHandler, make_server

VEHICLES = 10_000
FIRST_WITHOUT_MAP = 900

errors = []
keeps = True


class FloatingVehicle:
    def __init__(self, area, number):
        self.area = area
        self.number = number
        self.position = (area, float(number))


def locate(vehicles, area):
    if area >= FIRST_WITHOUT_MAP:
        raise LookupError("there is no map of this area")
    return sum(vehicle.position[1] for vehicle in vehicles)


def move(area):
    vehicles = [FloatingVehicle(area, number) for number in range(VEHICLES)]
    return locate(vehicles, area)


def answer(path):
    """Status and body for a request."""
    words = path.split("/")
    try:
        found = move(int(words[2])) if words[-1] == "vehicles" else list(range(10))
        return 200, json.dumps(found).encode()
    except LookupError as error:
        if keeps:
            errors.append(error)
        return 500, json.dumps(str(error)).encode()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        status, body = answer(self.path)
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def threads(port):
    server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        server.server_close()


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def application(environ, start_response):
    status, body = answer(environ["PATH_INFO"])
    reason = "OK" if status == 200 else "Internal Server Error"
    start_response(f"{status} {reason}", [("Content-Length", str(len(body)))])
    return [body]


def wsgi(port):
    make_server("127.0.0.1", port, application, handler_class=Quiet).serve_forever()


async def converse(reader, writer):
    """The requests of a connection, one after the other."""
    while True:
        line = await reader.readline()
        if not line:
            break
        while await reader.readline() not in (b"\r\n", b""):
            pass
        status, body = answer(line.split()[1].decode())
        writer.write(f"HTTP/1.1 {status} \r\nContent-Length: {len(body)}\r\n\r\n".encode() + body)
        await writer.drain()
    writer.close()


async def converse_until_stopped(port):
    server = await asyncio.start_server(converse, "127.0.0.1", port)
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    await stopped.wait()
    server.close()


def count():
    tracemalloc.start()
    answer(f"/areas/{FIRST_WITHOUT_MAP}/vehicles")
    print(tracemalloc.get_traced_memory()[0])


if __name__ == "__main__":
    kind = sys.argv[1]
    keeps = "fixed" not in sys.argv
    if kind == "count":
        count()
    elif kind == "asyncio":
        asyncio.run(converse_until_stopped(int(sys.argv[2])))
    else:
        {"threads": threads, "wsgi": wsgi}[kind](int(sys.argv[2]))
