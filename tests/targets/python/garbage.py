"""Answers one request after the other: garbage.py PORT. Nothing collects garbage but what is asked for here.

/cycle leaves five objects that refer to each other and outlive a run over the younger generations, /keep one that is
kept, /none nothing; /collect runs over everything, /end answers with the collector's own count of its runs (before it
the number of cycles' objects) and ends.
"""
import gc, json, select, socket, sys

gc.set_threshold(1_000_000)


class Knot:
    pass


class Kept:
    pass


KEPT = []


def tie():
    knots = [Knot() for _ in range(5)]
    for knot, other in zip(knots, knots[1:] + knots[:1]):
        knot.other = other
    return knots


def cycle():
    knots = tie()
    gc.collect(1)
    del knots


def keep():
    KEPT.append(Kept())


def end():
    runs = [row["collections"] for row in gc.get_stats()]
    knots = sum(type(other) is Knot for other in gc.get_objects())
    return json.dumps([knots, *runs]).encode()


server = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    connection, _ = server.accept()
    target = connection.recv(4096).split()[1:2]
    if not target:
        connection.close()
        continue
    made = {b"/cycle": cycle, b"/keep": keep, b"/collect": gc.collect, b"/end": end}.get(target[0], str)()
    body = made if isinstance(made, bytes) else b"ok"
    connection.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
    connection.close()
    if target[0] == b"/end":
        # As a server that waits for more when it is told to end.
        select.select([], [], [], 0)
        break
