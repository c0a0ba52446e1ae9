"""1,000 calls of each function, the first ones before CPython has specialised their instructions. What they keep is
live when the exit begins. With packages installed: `python lines.py packages`."""
import json
import sys

kept = []


def floats(n):
    kept.append(n * 1.25)  # line: float


def ints(n):
    kept.append(n + 1000)  # line: int


def dicts(n):
    kept.append(dict(a=n))  # line: dict


def strings(n):
    kept.append(f"{n:040}")  # line: str


def nested(n):
    kept.append(json.loads('{"a": [{"b": [[2.5]]}]}'))


def elements(n):
    kept.append(etree.Element("vehicle"))  # line: lxml.etree._Element


def scalars(n):
    kept.append(numpy.float64(n))  # line: numpy.float64


def arrays(n):
    kept.append(numpy.zeros(100))  # line: numpy.ndarray


def stamps(n):
    kept.append(pandas.Timestamp(n))  # line: pandas.Timestamp


functions = [floats, ints, dicts, strings, nested]
if "packages" in sys.argv:
    import numpy
    import pandas
    from lxml import etree

    functions += [elements, scalars, arrays, stamps]

# What is on free lists comes first, and small ints are there already.
drained = [(n * 1.5, {n: n}, [n]) for n in range(1000)]
for function in functions:
    for n in range(1000):
        function(1000 + n)
