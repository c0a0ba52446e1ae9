"""The WSGI application on gevent's pywsgi: a greenlet for each connection, all on one thread, the grower's too."""

from gevent import monkey

monkey.patch_all()

import signal  # noqa: E402
import socket  # noqa: E402
import sys  # noqa: E402

import gevent  # noqa: E402
from gevent.pywsgi import WSGIServer  # noqa: E402

import wsgi  # noqa: E402

listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
# The head and the body are two writes: without this the second waits for the client's acknowledgement.
listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
server = WSGIServer(listener, wsgi.application, log=None)
gevent.signal_handler(signal.SIGTERM, server.stop)
server.serve_forever()
