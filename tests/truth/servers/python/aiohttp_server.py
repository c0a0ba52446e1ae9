"""The endpoints on aiohttp. The grower is a task of the same event loop."""

import asyncio
import itertools
import sys

from aiohttp import web

import truth_app
import truth_counts


async def truth(_):
    return web.Response(text=truth_counts.as_json(), content_type="application/json")


async def endpoint(request):
    kind, n = request.match_info["kind"], int(request.match_info["n"])
    await asyncio.sleep(truth_app.pause(n))
    truth_app.act(kind, n)
    await asyncio.sleep(truth_app.pause(n + 1))
    return web.Response(text=f"{kind} {n}\n", status=truth_app.status(kind, n))


async def grow():
    for n in itertools.count():
        truth_app.keep_background(n)
        truth_counts.add("background", 1)
        await asyncio.sleep(0.01)


async def background(_):
    task = asyncio.create_task(grow())
    yield
    task.cancel()


app = web.Application()
app.add_routes([web.get("/truth", truth), web.get("/{kind}/{n}", endpoint)])
app.cleanup_ctx.append(background)
web.run_app(app, host="127.0.0.1", port=int(sys.argv[1]), access_log=None, print=None)
