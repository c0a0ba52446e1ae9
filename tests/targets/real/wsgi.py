"""A WSGI application for gunicorn. What it leaves behind: 1 buffer of 1001 bytes for each /leak."""
KEPT = []


def app(environ, start_response):
    path = environ["PATH_INFO"]
    status, body = "200 OK", b"hello\n"
    if path == "/leak":
        KEPT.append(bytearray(1000))
    elif path == "/echo":
        body = environ["wsgi.input"].read()
    elif path == "/fail":
        status, body = "503 Service Unavailable", b"no\n"
    elif path.startswith("/items/"):
        body = repr([n * n for n in range(int(path[7:]) % 50)]).encode()
    start_response(status, [("Content-Length", str(len(body)))])
    return [body]
