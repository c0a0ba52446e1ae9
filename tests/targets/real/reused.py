"""Requests that keep plain objects only: types whose freed objects CPython uses again. By Flask, and by FastAPI.

What each request leaves behind:
    POST /publish   30 dicts, in the queues of subscribers that are gone
    GET /track      100 tuples of two floats
    GET /note       one dict
    GET /ordered    ten OrderedDicts, whose tables of keys come from the dicts' free list
    GET /login      one Session
    GET /graph      nothing but garbage in cycles: thousands of objects
    GET /collect    60 dicts, made when pairs have died and the collector has just freed that
    GET /mark       one slice, of which CPython keeps one that died
    GET /cut        nothing, but makes slices
    GET /ok         nothing

GET /truth tells what is kept, as the containers and the collector's module count it.
"""
import collections
import gc
import time


class Session:
    def __init__(self, number):
        self.number = number


QUEUES = [collections.deque() for _ in range(30)]
TRACKED = []
NOTES = []
ORDERED = []
COLLECTED = []
MARKED = []
SESSIONS = []


def publish():
    for queue in QUEUES:
        queue.append({"n": 1, "kind": 2})


def track():
    for _ in range(100):
        TRACKED.append((time.time(), time.perf_counter()))


def note():
    NOTES.append({"n": 1})


def ordered():
    ORDERED.extend(collections.OrderedDict(n=1) for _ in range(10))


def login():
    SESSIONS.append(Session(1))


class Node:
    pass


def graph():
    nodes = []
    for number in range(150):
        node = Node()
        node.about = {"number": number}
        node.pairs = [(number, None), (number, None, 1)]
        node.all, node.start = nodes, node.__init__
        nodes.append(node)


def collect():
    pairs = [(number, number) for number in range(300)]
    # The first to die is not the last that was made: a list of free tuples is another one then.
    pairs.reverse()
    del pairs[:]
    bytearray(100)
    gc.collect(1)  # A whole collection empties the lists.
    COLLECTED.extend({"n": 1} for _ in range(60))


def mark():
    MARKED.append(slice(NOTES, SESSIONS))


def cut():
    for _ in range(10):
        QUEUES[slice(len(NOTES), None)]


def truth():
    kept = [message for queue in QUEUES for message in queue] + NOTES + COLLECTED + TRACKED + MARKED
    assert {type(thing) for thing in kept} <= {dict, tuple, slice}
    sessions = sum(type(thing) is Session for thing in gc.get_objects())
    return {"publish": sum(map(len, QUEUES)), "track": len(TRACKED), "note": len(NOTES), "ordered": len(ORDERED),
            "login": sessions, "collect": len(COLLECTED), "mark": len(MARKED)}


def flask_app():
    import flask

    app = flask.Flask(__name__)

    def keep(act):
        def view():
            act()
            return "ok"

        view.__name__ = act.__name__
        return view

    app.post("/publish")(keep(publish))
    for act in (track, note, ordered, login, graph, collect, mark, cut):
        app.get("/" + act.__name__)(keep(act))
    app.get("/ok")(lambda: "ok")
    app.get("/truth")(truth)
    return app


def fastapi_app():
    import fastapi

    app = fastapi.FastAPI()

    def keep(act):
        async def view():
            act()
            return "ok"

        return view

    async def ok():
        return "ok"

    async def tell():
        return truth()

    app.post("/publish")(keep(publish))
    for act in (track, note, ordered, login, graph, collect, mark, cut):
        app.get("/" + act.__name__)(keep(act))
    app.get("/ok")(ok)
    app.get("/truth")(tell)
    return app
