"""ASGI: messages on /rooms/N are kept, and answered unless they are notes; any other request is answered. As a program,
its client: messages.py PORT ROOMS MESSAGES NOTES, which sends pings, too, and connects to a room where it says nothing."""
import sys

KEPT = []


class Message:
    def __init__(self, text):
        self.text = text


async def app(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        return await send({"type": "http.response.body", "body": b"ok"})
    if scope["type"] == "lifespan":
        while True:
            kind = (await receive())["type"]
            await send({"type": f"{kind}.complete"})
            if kind == "lifespan.shutdown":
                return
    await receive()
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        KEPT.append(Message(message["text"]))
        if not message["text"].startswith("note"):
            await send({"type": "websocket.send", "text": "kept"})


if __name__ == "__main__":
    from websockets.sync.client import connect

    port, rooms, messages, notes = map(int, sys.argv[1:])
    with connect(f"ws://127.0.0.1:{port}/silent") as client:
        assert client.ping().wait(60)
    for room in range(rooms):
        with connect(f"ws://127.0.0.1:{port}/rooms/{room}") as client:
            for number in range(messages):
                client.send(f"message {number}")
                assert client.recv() == "kept"
                assert client.ping().wait(60)
            for number in range(notes):
                client.send(f"note {number}")
                assert client.ping().wait(60)
            # uvicorn drops what has come and was not taken when a connection closes.
            client.send("last")
            assert client.recv() == "kept"
