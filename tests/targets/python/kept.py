"""Keeps 1000 objects in a module's global, and tells their size; the argument says how it ends."""

import os
import signal
import sys


class Kept:
    __slots__ = ()


def make():
    return Kept()


keep = [make() for _ in range(1000)]
print(sys.getsizeof(keep[0]), flush=True)

if sys.argv[1] == "_exit":
    os._exit(0)
if sys.argv[1] == "exit":
    sys.exit(0)
if sys.argv[1] == "kill":
    os.kill(os.getpid(), signal.SIGKILL)
