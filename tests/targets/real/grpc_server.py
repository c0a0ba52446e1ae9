"""A gRPC server and its client in one process. Each of 300 calls keeps a Session; the program ends as it should.

Says how many are kept.
"""
import concurrent.futures

import grpc

KEPT = []


class Session:
    def __init__(self):
        self.buffer = bytearray(20_000)


def login(request, _):
    KEPT.append(Session())
    return request


handlers = {"Login": grpc.unary_unary_rpc_method_handler(login)}
server = grpc.server(
    concurrent.futures.ThreadPoolExecutor(4),
    handlers=[grpc.method_handlers_generic_handler("Service", handlers)],
)
port = server.add_insecure_port("127.0.0.1:0")
server.start()
with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
    call = channel.unary_unary("/Service/Login")
    for _ in range(300):
        assert call(b"name") == b"name"
server.stop(None).wait()
print(len(KEPT))
