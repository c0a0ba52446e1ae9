"""The endpoints as a FastAPI application. TRUTH_STYLE says how a request is served:

async       by a coroutine, which waits before and after it keeps
def         by a function on a thread of the pool
middleware  by a coroutine in a task of its own, as BaseHTTPMiddleware starts one
stream      by a generator that keeps between two parts of the answer
background  by a task that keeps after the answer
"""

import asyncio
import os

import fastapi
from fastapi.responses import PlainTextResponse, Response, StreamingResponse
from starlette.background import BackgroundTask
from starlette.middleware.base import BaseHTTPMiddleware

import truth_app
import truth_counts

app = fastapi.FastAPI()


@app.get("/truth")
async def truth():
    return Response(truth_counts.as_json(), media_type="application/json")


async def in_coroutine(kind: str, n: int):
    await asyncio.sleep(truth_app.pause(n))
    truth_app.act(kind, n)
    await asyncio.sleep(truth_app.pause(n + 1))
    return PlainTextResponse(f"{kind} {n}\n", truth_app.status(kind, n))


def in_thread(kind: str, n: int):
    status, body = truth_app.answer(f"/{kind}/{n}")
    return PlainTextResponse(body, status)


async def parts(kind, n):
    yield f"{kind}\n"
    await asyncio.sleep(truth_app.pause(n))
    truth_app.act(kind, n)
    await asyncio.sleep(truth_app.pause(n + 1))
    yield f"{n}\n"


async def in_stream(kind: str, n: int):
    return StreamingResponse(parts(kind, n), truth_app.status(kind, n), media_type="text/plain")


async def later(kind, n):
    await asyncio.sleep(truth_app.pause(n))
    truth_app.act(kind, n)


async def in_background(kind: str, n: int):
    task = BackgroundTask(later, kind, n)
    return PlainTextResponse(f"{kind} {n}\n", truth_app.status(kind, n), background=task)


async def around(request, call_next):
    response = await call_next(request)
    response.headers["X-Style"] = "middleware"
    return response


STYLES = {
    "async": in_coroutine,
    "def": in_thread,
    "middleware": in_coroutine,
    "stream": in_stream,
    "background": in_background,
}
style = os.environ.get("TRUTH_STYLE", "async")
app.get("/{kind}/{n}")(STYLES[style])
if style == "middleware":
    app.add_middleware(BaseHTTPMiddleware, dispatch=around)

truth_app.start_background()
