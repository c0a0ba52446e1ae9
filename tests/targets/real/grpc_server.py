"""A gRPC server and its client in one process. Each of 300 calls of Login keeps a Session, each of 300 of Ping nothing;
the program ends as it should. `grpc_server.py marked`: each call is marked as a request.

Says how many are kept.
"""
import concurrent.futures
import sys

import grpc
import marks

KEPT = []


class Session:
    def __init__(self):
        self.buffer = bytearray(20_000)


def login(request, _):
    KEPT.append(Session())
    return request


def ping(request, _):
    return request


class Marks(grpc.ServerInterceptor):
    """Of calls with one request and one answer."""

    def intercept_service(self, go_on, details):
        handler = go_on(details)
        if handler is None or handler.unary_unary is None:
            return handler

        def call(request, context):
            with marks.request(details.method):
                return handler.unary_unary(request, context)

        return grpc.unary_unary_rpc_method_handler(call, handler.request_deserializer, handler.response_serializer)


handlers = {name: grpc.unary_unary_rpc_method_handler(call) for name, call in [("Login", login), ("Ping", ping)]}
server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(4),
    handlers=[grpc.method_handlers_generic_handler("Service", handlers)],
    interceptors=[Marks()] if "marked" in sys.argv else [],
)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    calls = [channel.unary_unary(f"/Service/{name}") for name in handlers]
    for _ in range(300):
        for call in calls:
            assert call(b"name") == b"name"
server.stop(None).wait()
print(len(KEPT))
