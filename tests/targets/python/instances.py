"""Keeps instances and blocks alive whose number is known: `python instances.py [HOW]`."""

import sys


class Vehicle:
    __slots__ = ("name", "speed")


def instances(count):
    return [
        Vehicle() for _ in range(count)
    ]


def large(count):
    # Over 512 bytes pymalloc asks malloc: still one block each, of the size that Python asked for.
    return [
        bytes(1000) for _ in range(count)
    ]


def grown(count):
    # Each moves a few times.
    kept = []
    for _ in range(count):
        block = bytearray(10)
        for size in (100, 600, 5000):
            block.extend(bytes(size - len(block)))
        kept.append(block)
    return kept


def freed(count):
    for _ in range(count):
        Vehicle(), bytes(1000)


def work():
    return instances(10_000), large(300), grown(50), freed(1000)


def forked():
    import os
    child = os.fork()
    if child == 0:
        global kept
        kept = work()
        # The interpreter's own end gives too much back.
        os._exit(0)
    os.waitpid(child, 0)


def pooled():
    import multiprocessing
    with multiprocessing.get_context("fork").Pool(2) as pool:
        print(pool.map(len, [[1]] * 10))


def in_thread():
    import threading
    done = []
    thread = threading.Thread(target=lambda: done.append(work()))
    thread.start()
    thread.join()
    return done


how = sys.argv[1] if len(sys.argv) > 1 else "plain"
kept = {"plain": work, "fork": forked, "pool": pooled, "thread": in_thread}[how]()
if how == "plain":
    import os
    sys.stdout.flush()
    os._exit(0)
