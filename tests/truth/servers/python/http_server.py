"""The endpoints on the standard library's server, which starts a thread for each connection."""

import http.server
import signal
import sys

import truth_app


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # The head and the body are two writes: without this the second waits for the client's acknowledgement.
    disable_nagle_algorithm = True

    def do_GET(self):
        status, body = truth_app.answer(self.path)
        body = body.encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
truth_app.start_background()
# As many connections as the client opens at once: what is refused comes a second later, and out of turn.
http.server.ThreadingHTTPServer.request_queue_size = 128
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
