"""The endpoints as a plain WSGI application, for gunicorn, waitress and gevent."""

import truth_app


def application(environ, start_response):
    status, body = truth_app.answer(environ["PATH_INFO"])
    body = body.encode()
    reason = "OK" if status == 200 else "Internal Server Error"
    start_response(f"{status} {reason}", [("Content-Type", "text/plain"), ("Content-Length", str(len(body)))])
    return [body]


truth_app.start_background()
