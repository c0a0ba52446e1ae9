"""Three children that keep 1,000 vehicles each: `processes.py fork|spawn|forkserver`."""
import multiprocessing
import os
import sys


class Vehicle:
    __slots__ = ()


def keep():
    global kept
    kept = [Vehicle() for _ in range(1000)]
    os._exit(0)


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    children = [context.Process(target=keep) for _ in range(3)]
    for child in children:
        child.start()
    for child in children:
        child.join()
