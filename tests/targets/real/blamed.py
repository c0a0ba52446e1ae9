"""Endpoints that leave nothing, beside some that keep what is of the same types. Several applications.

What each request leaves behind:
    GET /login     one dict, in a list
    GET /kept...   what it made, in a list
    GET /work      one Failure, where it fails
    all others     nothing for ever: Django's log of queries has room for 9,000, lists of others for 10
"""
import os

KEPT = []


def django_app():
    """With DEBUG, and as where nobody resets the log at the begin of a request (a channel's consumer, a worker)."""
    import django
    from django.conf import settings
    from django.core.signals import request_started
    from django.core.wsgi import get_wsgi_application
    from django.db import connection, reset_queries
    from django.http import HttpResponse
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["*"],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:", "CONN_MAX_AGE": None}},
        DEBUG=True,
        LOGGING_CONFIG=None,
        ROOT_URLCONF=__name__,
        SECRET_KEY="none",
    )
    django.setup()
    request_started.disconnect(reset_queries)

    def ask(times):
        with connection.cursor() as cursor:
            for number in range(times):
                cursor.execute("SELECT %s", [number])
                cursor.fetchall()

    def query(request):
        ask(8)
        return HttpResponse("ok")

    def login(request):
        ask(1)
        KEPT.append({"session": 1})
        return HttpResponse("ok")

    def truth(request):
        return HttpResponse(f"{len(KEPT)} {len(connection.queries_log)}")

    global urlpatterns
    urlpatterns = [
        path("query", query),
        path("login", login),
        path("ok", lambda request: HttpResponse("ok")),
        path("truth", truth),
    ]
    return get_wsgi_application()


def boto3_app():
    """A client for each request, and a session for each."""
    os.environ.update(AWS_ACCESS_KEY_ID="id", AWS_SECRET_ACCESS_KEY="key", AWS_DEFAULT_REGION="us-east-1")
    import boto3
    import flask
    from botocore.stub import Stubber

    app = flask.Flask(__name__)
    shared = boto3.session.Session()

    def ask(session):
        client = session.client("sqs")
        stub = Stubber(client)
        stub.add_response("list_queues", {"QueueUrls": ["first"]}, {"QueueNamePrefix": "f"})
        with stub:
            client.list_queues(QueueNamePrefix="f")
        return client

    @app.get("/client")
    def client():
        ask(shared)
        return "ok"

    @app.get("/kept")
    def kept():
        KEPT.append(ask(shared))
        return "ok"

    @app.get("/login")
    def login():
        KEPT.append({"session": 1})
        return "ok"

    @app.get("/truth")
    def truth():
        return str(len(KEPT))

    return app


def lists_app():
    """What NumPy, lxml and multidict keep on lists of their own goes from the requests that made it to those that keep it."""
    import flask
    import multidict
    import numpy
    from lxml import etree

    app = flask.Flask(__name__)
    tree = "<list>" + "<item/>" * 20 + "</list>"

    @app.get("/array")
    def array():
        made = numpy.arange(10)
        return str((made + made[::-1]).sum())

    @app.get("/tree")
    def read():
        return str(len(etree.fromstring(tree)))

    def headers_of(count):
        return multidict.CIMultiDict((f"X-{number}", f"value {number}") for number in range(count))

    @app.get("/headers")
    def headers():
        return headers_of(5)["x-1"]

    @app.get("/kept_headers")
    def kept_headers():
        KEPT.append(headers_of(5))
        return "ok"

    @app.get("/kept_array")
    def kept_array():
        KEPT.append(numpy.arange(10)[2:4])
        return "ok"

    @app.get("/kept_tree")
    def kept_tree():
        KEPT.append(etree.fromstring(tree))
        return "ok"

    @app.get("/ok")
    def ok():
        return "ok"

    @app.get("/truth")
    def truth():
        return str(len(KEPT))

    return app


def errors_app():
    """A kept exception holds the frames below it, and so the server's own object for its request."""
    import json

    import flask

    app = flask.Flask(__name__)
    sessions = []

    @app.get("/kept_error")
    def kept_error():
        try:
            json.loads("{")
        except ValueError as error:
            KEPT.append(error)
        return "ok"

    @app.get("/session")
    def session():
        sessions.append({"user": object()})
        del sessions[:-10]
        return "ok"

    @app.get("/ok")
    def ok():
        return "ok"

    @app.get("/truth")
    def truth():
        return str(len(KEPT))

    return app


class Success:
    __slots__ = ("number",)


class Failure:
    __slots__ = ("number",)


def statuses_app():
    """One line makes an object for each request; only those of requests that fail are kept for ever."""
    import flask

    app = flask.Flask(__name__)
    newest = []
    numbers = iter(range(1 << 40))

    @app.get("/work")
    def work():
        fails = next(numbers) % 2
        made = (Failure if fails else Success)()
        if fails:
            KEPT.append(made)
            return "failed", 500
        newest.append(made)
        del newest[:-10]
        return "ok"

    @app.get("/truth")
    def truth():
        return str(len(KEPT))

    return app


def httpx_app():
    """Clients of their own and a shared one, answered without a network."""
    import asyncio

    import httpx
    from starlette.applications import Starlette
    from starlette.responses import PlainTextResponse
    from starlette.routing import Route

    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"items": [1, 2, 3]}))
    shared = httpx.AsyncClient(transport=transport)

    async def ask(client):
        answer = await client.get("http://host/", params={"number": "1"})
        return str(len(answer.json()["items"]))

    async def client():
        async with httpx.AsyncClient(transport=transport) as own:
            return await ask(own)

    async def gather():
        return " ".join(await asyncio.gather(*[ask(shared) for _ in range(3)]))

    async def kept():
        KEPT.append(await shared.get("http://host/"))
        return "ok"

    async def login():
        KEPT.append({"session": await ask(shared)})
        return "ok"

    async def ok():
        return "ok"

    async def truth():
        return str(len(KEPT))

    def route(handler):
        async def answer(_):
            return PlainTextResponse(await handler())

        return Route("/" + handler.__name__, answer)

    return Starlette(routes=[route(handler) for handler in (client, gather, kept, login, ok, truth)])
