"""A city's vehicles over HTTP, worked out by a pool of threads for each request.

usage: city.py PORT [fixed]

GET /areas/N/vehicles: where 10,000 vehicles of an area are. Areas with odd numbers have no map: a worker
    raises, and the answer is 500. The pool is then abandoned, and with it 10,000 FloatingVehicle: its threads
    wait for more work, and refer to it, as the pools of Python 3.7 did (from 3.8 on an abandoned pool is
    collected). `fixed` closes the pool whatever happens; what a failed request made then goes with the next
    run of the cyclic garbage collector.
GET /areas: the areas. Leaves nothing.

At its end the server says how many vehicles are alive, those that wait for the collector included.
"""
import gc
import json
import multiprocessing.pool
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

VEHICLES = 10_000


class Pool(multiprocessing.pool.ThreadPool):
    """A pool with a thread that refers to it until it is closed."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.done = threading.Event()
        threading.Thread(target=self.hold, daemon=True).start()

    def hold(self):
        self.done.wait()

    def close(self):
        super().close()
        self.done.set()


class FloatingVehicle:
    def __init__(self, area, number):
        self.area = area
        self.number = number
        self.position = None


def take(vehicles):
    """What each thread of a pool knows."""
    threading.current_thread().vehicles = vehicles


def locate(part):
    if part is None:
        raise LookupError("there is no map of this area")
    first, last = part
    for vehicle in threading.current_thread().vehicles[first:last]:
        vehicle.position = (0, vehicle.number)
    return last - first


def positions(area, pool):
    parts = [(first, first + 1000) for first in range(0, VEHICLES, 1000)]
    return sum(pool.imap(locate, parts + [None] * (area % 2)))


def answer(area, fixed):
    pool = Pool(2, take, [[FloatingVehicle(area, number) for number in range(VEHICLES)]])
    if not fixed:
        found = positions(area, pool)
        pool.close()
        pool.join()
        return found
    try:
        return positions(area, pool)
    finally:
        pool.close()
        pool.join()


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    fixed = False

    def do_GET(self):
        words = self.path.split("/")
        try:
            found = answer(int(words[2]), self.fixed) if words[-1] == "vehicles" else list(range(10))
            status = 200
        except LookupError as error:
            status, found = 500, str(error)
        body = json.dumps(found).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    Handler.fixed = "fixed" in sys.argv
    server = ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    server.daemon_threads = True
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        server.serve_forever()
    except KeyboardInterrupt:
        gc.disable()
    vehicles = sum(type(thing) is FloatingVehicle for thing in gc.get_objects())
    print(vehicles, "vehicles are left")
