"""Work that a server's loop gives to other threads, by FastAPI.

What each request leaves behind, one Job of a class of its own each:
    GET /after   by a background task that is a function, after the answer: an After
    GET /fire    by a function on the loop's executor that nobody waits for: a Fire
    GET /thread  by a function on that executor that the request waits for: a Thread
    GET /clean   by a background task, nothing
    GET /ok      nothing
"""
import asyncio
import random
import time

from fastapi import BackgroundTasks, FastAPI

KEPT = []


class After:
    def __init__(self):
        self.data = bytearray(700)


class Fire:
    def __init__(self):
        self.data = bytearray(300)


class Thread:
    def __init__(self):
        self.data = bytearray(1700)


def work(kind=None):
    time.sleep(random.random() * 0.003)
    if kind is not None:
        KEPT.append(kind())


def app():
    app = FastAPI()

    @app.get("/after")
    async def after(tasks: BackgroundTasks):
        tasks.add_task(work, After)

    @app.get("/fire")
    async def fire():
        asyncio.get_running_loop().run_in_executor(None, work, Fire)

    @app.get("/thread")
    async def thread():
        await asyncio.to_thread(work, Thread)

    @app.get("/clean")
    def clean(tasks: BackgroundTasks):
        tasks.add_task(work)

    @app.get("/ok")
    async def ok():
        return 1

    return app
