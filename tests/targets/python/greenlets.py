"""Ten greenlets that take turns make 100 vehicles each, which are kept."""
import os

from greenlet import getcurrent, greenlet


class Vehicle:
    __slots__ = ()


kept = []


def work():
    for _ in range(100):
        kept.append(
            Vehicle()
        )
        getcurrent().parent.switch()


workers = [greenlet(work) for _ in range(10)]
for _ in range(100):
    for worker in workers:
        worker.switch()
os._exit(0)
