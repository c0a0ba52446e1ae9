"""Celery's tasks, each a request: `celery -A jobs worker`, with JOBS naming a directory for messages. As a program, what
asks for them: jobs.py EACH, so many of each in turn, and waits until all are done.

What each task leaves behind:
    jobs.keep    a Kept
    jobs.fail    a Kept, and raises
    jobs.newest  the ten newest are kept
    jobs.clean   nothing
"""
import os
import sys
import time
from pathlib import Path

import marks
from celery import Celery, Task

JOBS = Path(os.environ["JOBS"])
MESSAGES, CONTROL, DONE = JOBS / "messages", JOBS / "control", JOBS / "done"
for directory in MESSAGES, CONTROL:
    directory.mkdir(parents=True, exist_ok=True)

KEPT = []
NEWEST = []


class Kept:
    def __init__(self):
        self.data = bytearray(3000)


class MarkedTask(Task):
    def __call__(self, *args, **kwargs):
        with marks.request(self.name):
            return super().__call__(*args, **kwargs)


app = Celery("jobs", broker="filesystem://", task_cls=MarkedTask if os.environ.get("MARKED") else Task)
app.conf.update(
    broker_transport_options={
        "data_folder_in": MESSAGES,
        "data_folder_out": MESSAGES,
        "control_folder": CONTROL,
        "polling_interval": 0.05,
    },
    task_ignore_result=True,
    worker_hijack_root_logger=False,
)


def done():
    with DONE.open("a") as file:
        file.write(".")


@app.task
def keep():
    KEPT.append(Kept())
    done()


@app.task
def fail():
    KEPT.append(Kept())
    done()
    raise ValueError("no")


@app.task
def newest():
    NEWEST.append(Kept())
    del NEWEST[:-10]
    done()


@app.task
def clean():
    data = bytearray(3000)
    done()
    return len(data)


if __name__ == "__main__":
    each, tasks = int(sys.argv[1]), [keep, fail, newest, clean]
    for _ in range(each):
        for task in tasks:
            task.delay()
    while not DONE.exists() or DONE.stat().st_size < each * len(tasks):
        time.sleep(0.05)
