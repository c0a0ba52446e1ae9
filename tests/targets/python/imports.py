"""Imports modules, half of them on another thread, and does other things that change stacks in ways of their own:
`python imports.py LOG MODULE...`. At every so manieth call and return in all of that it allocates a block of a
size of its own, and writes down the stack that the interpreter itself tells."""
import importlib
import itertools
import sys
import threading

EVERY = 97
numbers = itertools.count()
events = itertools.count()
log = []


def told(frame):
    frames = []
    while frame is not None:
        code = frame.f_code
        name = getattr(code, "co_qualname", code.co_name)
        frames.append(f"{code.co_filename}|{name}|{frame.f_lineno}")
        frame = frame.f_back
    return "\t".join(frames)


def probe():
    size = 300_000 + next(numbers)
    bytearray(size - 1); stack = told(sys._getframe())
    log.append(f"{size} {stack}")


def profile(frame, event, argument):
    if next(events) % EVERY == 0:
        probe()


def imports(modules):
    sys.setprofile(profile)
    for module in modules:
        importlib.import_module(module)
    sys.setprofile(None)


def deep(depth):
    """Deeper than what is remembered, and back."""
    if depth % 100 == 0:
        probe()
    if depth:
        deep(depth - 1)
    if depth % 100 == 0:
        probe()


def again(count):
    """The same frames at the same places, called from other lines."""
    def inner():
        probe()

    def outer():
        inner()
        inner(); inner()

    for _ in range(count):
        outer()
        outer()


def generators(count):
    """Frames that lie elsewhere, resumed from several places and depths."""
    def numbers(depth):
        if depth:
            yield from numbers(depth - 1)
        for _ in range(count):
            probe()
            yield

    def resume(generator, depth):
        if depth:
            return resume(generator, depth - 1)
        next(generator, None)

    alive = [numbers(depth) for depth in range(5)]
    for round in range(4 * count):
        for generator in alive:
            resume(generator, round % 7)


def exceptions(depth):
    """Frames that are left at once."""
    class Left(Exception):
        def __init__(self):
            probe()

    def fall(depth):
        try:
            if depth == 0:
                raise Left
            fall(depth - 1)
        finally:
            probe()

    for height in range(depth):
        try:
            fall(height)
        except Left:
            probe()


def greenlets(count):
    """Stacks that take turns, and lie in one another's place on the C stack."""
    from greenlet import getcurrent, greenlet

    def work(depth):
        if depth:
            return work(depth - 1)
        for _ in range(count):
            probe()
            sorted([2, 1], key=lambda _: getcurrent().parent.switch() or 0)
            probe()

    workers = [greenlet(work) for _ in range(10)]
    for _ in range(2 * count + 1):
        for depth, worker in enumerate(workers):
            if not worker.dead:
                worker.switch(depth) if not worker else worker.switch()
            again(1)


modules = sys.argv[2:]
other = threading.Thread(target=imports, args=(modules[::2],))
other.start()
imports(modules[1::2])
again(20)
generators(5)
exceptions(12)
sys.setrecursionlimit(5000)
deep(1500)
again(5)
if "greenlet" in modules:
    greenlets(6)
other.join()
with open(sys.argv[1], "w") as out:
    out.write("\n".join(log) + "\n")
