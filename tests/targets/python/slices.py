"""Every second round keeps a slice, each other one makes one and drops it: CPython keeps that for the next."""

import ctypes
import os

libleak = ctypes.CDLL(None)
kept = []
for number in range(120):
    if number % 2:
        libleak.leak_begin(b"keep")
        kept.append(slice(number, None))
    else:
        libleak.leak_begin(b"drop")
        slice(number, None)
    libleak.leak_end()
os._exit(0)
