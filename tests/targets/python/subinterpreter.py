"""Keeps 1,000 vehicles in a sub-interpreter, and 500 cars in the main one."""
import os

try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters

VEHICLES = """
class Vehicle: __slots__ = ()
kept = [Vehicle() for _ in range(1000)]
"""


class Car:
    __slots__ = ()


other = interpreters.create()
interpreters.run_string(other, VEHICLES)
kept = [Car() for _ in range(500)]
os._exit(0)
