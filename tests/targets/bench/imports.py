"""imports.py NAME: imports a package as a program does that uses it."""
import sys


def fastapi():
    import fastapi  # noqa: F401


def django():
    import django
    from django.conf import settings

    applications = ["admin", "auth", "contenttypes", "sessions", "messages"]
    settings.configure(INSTALLED_APPS=[f"django.contrib.{name}" for name in applications])
    django.setup()


def boto3():
    import boto3

    boto3.client("s3", "eu-west-1", aws_access_key_id="-", aws_secret_access_key="-")


def pandas():
    import pandas  # noqa: F401


globals()[sys.argv[1]]()
