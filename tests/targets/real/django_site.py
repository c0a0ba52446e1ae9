"""A Django site for its runserver. What it leaves behind: 1 buffer of 1001 bytes for each /leak."""
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.http import HttpResponse
from django.urls import path

KEPT = []


def hello(_):
    return HttpResponse("hello\n")


def leak(_):
    KEPT.append(bytearray(1000))
    return HttpResponse("hello\n")


def echo(request):
    return HttpResponse(request.body)


def fail(_):
    return HttpResponse("no\n", status=503)


def item(_, number):
    return HttpResponse(repr([n * n for n in range(number % 50)]))


urlpatterns = [
    path("hello", hello),
    path("leak", leak),
    path("echo", echo),
    path("fail", fail),
    path("items/<int:number>", item),
]

settings.configure(ALLOWED_HOSTS=["*"], ROOT_URLCONF=__name__, SECRET_KEY="none", MIDDLEWARE=[])
arguments = ["runserver", "--noreload", "--skip-checks", f"127.0.0.1:{sys.argv[1]}"]
execute_from_command_line([sys.argv[0], *arguments])
