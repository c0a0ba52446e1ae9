"""What each endpoint keeps. It follows from the endpoint and the request's number alone, so the client knows it too.

A kept object is two blocks of the interpreter's allocator: 48 bytes for the instance (16 of them the collector's)
and 100 for its text. Its number is one of the integers that the interpreter shares, which take no memory. Each
keep_ function writes out how its text is made, so that both blocks have that function as their innermost frame.
Each also has a list of its own: that list's array is the one other thing that grows, by reallocation.
"""

import itertools
import threading
import time

import truth_counts


class Kept:
    __slots__ = ("number", "text")

    def __init__(self, number, text):
        self.number = number
        self.text = text


leak_list = []
status_list = []
tenth_list = []
warm_list = []
shared_list = []
background_list = []
ring = [None] * 16
ring_turns = itertools.count()


def use_clean(n):
    dropped = []
    for number in range(50):
        dropped.append(Kept(number, f"Kept object {number:03} of {n:08}, which nobody will read"))


def keep_leak(n):
    for number in range(50):
        leak_list.append(Kept(number, f"Kept object {number:03} of {n:08}, which nobody will read"))


def keep_status(n):
    for number in range(50):
        status_list.append(Kept(number, f"Kept object {number:03} of {n:08}, which nobody will read"))


def keep_tenth(n):
    for number in range(50):
        tenth_list.append(Kept(number, f"Kept object {number:03} of {n:08}, which nobody will read"))


def keep_bounded(n):
    # Turns, not n: requests are served in any order, and each is to replace the oldest entry.
    turn = next(ring_turns)
    ring[turn % 16] = Kept(turn % 16, f"Kept object {turn % 16:03} of {n:08}, which nobody will read")
    return turn < 16


def keep_warm(n):
    warm_list.append(Kept(n, f"Kept object {0:03} of {n:08}, which nobody will read"))


def keep_shared(n, objects):
    for number in range(objects):
        shared_list.append(Kept(number, f"Kept object {number:03} of {n:08}, which nobody will read"))


def keep_background(n):
    background_list.append(Kept(0, f"Kept object {0:03} of {n:08}, which nobody will read"))


def act(kind, n):
    """Does what request n of an endpoint does, and counts what it keeps."""
    kept = 0
    if kind == "clean":
        use_clean(n)
    elif kind == "leak":
        keep_leak(n)
        kept = 50
    elif kind == "status":
        if n % 4 == 3:
            keep_status(n)
            kept = 50
    elif kind == "tenth":
        if n % 10 == 0:
            keep_tenth(n)
            kept = 50
    elif kind == "bounded":
        if keep_bounded(n):
            kept = 1
    elif kind == "warm":
        if n < 5:
            keep_warm(n)
            kept = 1
    elif kind in ("shared-a", "shared-b"):
        kept = 25 if kind == "shared-a" else 50
        # The only call, so that no frame tells the two endpoints apart.
        keep_shared(n, kept)
    else:
        raise LookupError(kind)
    if kept:
        truth_counts.add(kind, kept)


def status(kind, n):
    return 500 if kind == "status" and n % 4 == 3 else 200


def pause(n):
    """Seconds that a request waits, as it would for a database, so that others are served meanwhile."""
    return 0.0005 * (1 + n % 4)


def answer(path):
    """Status and body of a GET, for servers that give each request a thread (or what looks like one)."""
    if path == "/truth":
        return 200, truth_counts.as_json()
    _, kind, number = path.split("/")
    n = int(number)
    time.sleep(pause(n))
    act(kind, n)
    time.sleep(pause(n + 1))
    return status(kind, n), f"{kind} {n}\n"


def grow():
    for n in itertools.count():
        keep_background(n)
        truth_counts.add("background", 1)
        time.sleep(0.01)


def start_background():
    threading.Thread(target=grow, name="background", daemon=True).start()
