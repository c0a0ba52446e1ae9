"""An ASGI application for uvicorn: each request waits on the event loop before it works, so that many are
under way on one thread. What it leaves behind: 1 buffer of 1001 bytes for each /leak."""
import asyncio

KEPT = []


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    path = scope["path"]
    status, body = 200, b"hello\n"
    if path == "/echo":
        body = (await receive())["body"]
    await asyncio.sleep(0.002 if path in ("/hello", "/leak") else 0)
    if path == "/leak":
        KEPT.append(bytearray(1000))
    elif path == "/fail":
        status, body = 503, b"no\n"
    elif path.startswith("/items/"):
        body = repr([n * n for n in range(int(path[7:]) % 50)]).encode()
    headers = [(b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
