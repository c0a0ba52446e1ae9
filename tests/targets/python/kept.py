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
if sys.argv[1] == "raise":
    signal.raise_signal(signal.SIGTERM)
if sys.argv[1] == "terminate":
    os.kill(os.getpid(), signal.SIGTERM)
if sys.argv[1] == "blocked":
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
    signal.raise_signal(signal.SIGTERM)
    keep += [make() for _ in range(1000)]
    os._exit(0)
