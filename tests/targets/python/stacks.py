"""Allocates blocks of sizes of their own, and writes down the stack that the interpreter itself tells
for each: `python stacks.py LOG COUNT`. The log has a line for each block: its size, then its frames."""

import asyncio, contextlib, functools, itertools, json, sys, threading, types

COUNT = int(sys.argv[2])
numbers = itertools.count(0)
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
    size = 200_000 + 3 * next(numbers)
    bytearray(size - 1); stack = told(sys._getframe())
    log.append(f"{size} {stack}")
    return size


def recursion(depth):
    return probe() if depth == 0 else recursion(depth - 1) + 0


def generator(count):
    for _ in range(count):
        yield probe()


def delegating(count):
    yield from generator(count)
    yield probe()


class Klass:
    attribute = probe()

    def __init__(self):
        # Once such calls are specialised, a frame of the interpreter's own lies around this one.
        probe()

    def method(self):
        return [probe() for _ in range(2)] + list(map(lambda _: probe(), range(2)))

    @property
    def value(self):
        return probe()

    @staticmethod
    def static():
        return sorted([3, 1, 2], key=lambda x: (probe(), x))

    def __del__(self):
        probe()


@contextlib.contextmanager
def context():
    probe()
    try:
        yield
    finally:
        probe()


def exceptions():
    try:
        with context():
            probe()
            raise ValueError
    except ValueError:
        probe()
    finally:
        probe()


async def coroutine(depth):
    probe()
    await asyncio.sleep(0)
    if depth:
        await coroutine(depth - 1)
    async for _ in asynchronous():
        probe()


async def asynchronous():
    for _ in range(2):
        yield probe()
        await asyncio.sleep(0)


async def gathered():
    await asyncio.gather(*(coroutine(depth) for depth in range(3)))


def evaluated(number):
    # Its code is freed at once: the next one may come to lie at the same address.
    source = "\n" * (number % 50) + f"def f{number % 7}():\n\n probe()\nf{number % 7}()\nprobe()"
    exec(compile(source, f"made{number % 11}", "exec"), {"probe": probe})
    eval("probe() + probe()")


def replaced(number):
    # The same code with other line numbers, or another name.
    code = evaluated.__code__.__class__
    function = types.FunctionType(recursion.__code__.replace(co_firstlineno=100 + number % 90), globals())
    function(2)


def parsed():
    json.loads('[{"a": 1}, {"b": {"c": 2}}]', object_hook=lambda _: probe())
    functools.reduce(lambda a, b: probe(), range(3))


def round_of_all(number):
    probe()
    recursion(number % 60)
    sum(delegating(3))
    klass = Klass()
    klass.method()
    klass.value
    klass.static()
    del klass
    exceptions()
    evaluated(number)
    if hasattr(evaluated.__code__, "replace"):
        replaced(number)
    parsed()
    # A long expression over lines, and a line far from its function's first.
    (probe(),
     probe()
     )


def many(start):
    number = start
    while len(log) < COUNT:
        round_of_all(number)
        if number % 20 == 0:
            asyncio.run(gathered())
        number += 1


threads = [threading.Thread(target=many, args=(start,)) for start in (1000, 2000, 3000)]
for thread in threads:
    thread.start()
many(0)
for thread in threads:
    thread.join()
with open(sys.argv[1], "w") as out:
    out.write("\n".join(log) + "\n")
