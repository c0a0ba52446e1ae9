"""Lets nobody read its memory but who may read everything."""
import ctypes

PR_SET_DUMPABLE = 4
ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 0, 0, 0, 0)
kept = [[number] for number in range(1000)]
