"""Endpoints that leave nothing, beside some that keep what is of the same types. Two applications.

What each request leaves behind:
    GET /login     one dict, in a list
    GET /kept      what it made, in a list
    all others     nothing for ever: Django's log of queries has room for 9,000
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
