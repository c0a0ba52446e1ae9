"""How many objects each endpoint has kept, over all processes that share this module.

The counts are bytes of a file in memory, one for each object, because forked workers can all append to it without
a lock, and it outlives those that end. gunicorn.conf.py imports this module before the workers are forked.
"""

import fcntl
import json
import os

LETTERS = {
    "clean": b"c",
    "leak": b"l",
    "status": b"s",
    "tenth": b"t",
    "bounded": b"r",
    "warm": b"w",
    "shared-a": b"a",
    "shared-b": b"b",
    "background": b"g",
}

FILE = os.memfd_create("truth")
fcntl.fcntl(FILE, fcntl.F_SETFL, os.O_APPEND)


def add(kind, objects):
    os.write(FILE, LETTERS[kind] * objects)


def as_json():
    written = os.pread(FILE, os.fstat(FILE).st_size, 0)
    return json.dumps({kind: written.count(letter) for kind, letter in LETTERS.items()})
