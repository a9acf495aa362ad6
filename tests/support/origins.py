"""Upstreams for tests: an origin scripted to the byte, and a real Redis server."""
import contextlib
import json
import pathlib
import shutil
import socket
import subprocess
import tempfile
import threading
import time


class Request:
    """What the origin received, as it came."""

    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.line = lines[0]
        self.method, self.target = lines[0].split(" ")[:2]
        self.headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:] if line]
        self.raw_head, self.body = head, body

    def header(self, name):
        return next((v for n, v in self.headers if n.lower() == name.lower()), None)

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]


def answer(status=200, body=b"ok", headers=(), reason="X"):
    """Bytes of a plain answer."""
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status} {reason}\r\nContent-Length: {len(body)}\r\n"
    return (head + "".join(f"{n}: {v}\r\n" for n, v in headers) + "\r\n").encode() + body


class Origin:
    """
    An HTTP/1.1 server whose answers are bytes. `script` is bytes, or a function (request, connection) that returns
    bytes, writes itself and returns None, or returns False to close at once. Keep-alive until it says close.
    """

    def __init__(self, script=None):
        self.script = script or answer()
        self.requests, self.connections = [], 0
        self.open = set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.thread = threading.Thread(target=self.accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.close()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in list(self.open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self.connections += 1
            self.open.add(connection)
            threading.Thread(target=self.serve, args=(connection,), daemon=True).start()

    def serve(self, connection):
        with contextlib.suppress(OSError, EOFError), connection:
            data = b""
            while True:
                while b"\r\n\r\n" not in data:
                    data += self.receive(connection)
                head, data = data.split(b"\r\n\r\n", 1)
                request = Request(head, b"")
                request.body, data = self.read_body(connection, request, data)
                self.requests.append(request)
                reply = self.script(request, connection) if callable(self.script) else self.script
                if reply is False:
                    break
                if reply is not None:
                    connection.sendall(reply)
                if b"\r\nConnection: close" in (reply or b"")[:2000]:
                    break
        self.open.discard(connection)

    @staticmethod
    def receive(connection):
        chunk = connection.recv(65536)
        if not chunk:
            raise EOFError
        return chunk

    def read_body(self, connection, request, data):
        if (request.header("transfer-encoding") or "").lower() == "chunked":
            body = b""
            while True:
                while b"\r\n" not in data:
                    data += self.receive(connection)
                size, data = data.split(b"\r\n", 1)
                size = int(size, 16)
                while len(data) < size + 2:
                    data += self.receive(connection)
                body, data = body + data[:size], data[size + 2:]
                if size == 0:
                    return body, data
        length = int(request.header("content-length") or 0)
        while len(data) < length:
            data += self.receive(connection)
        return data[:length], data[length:]


@contextlib.contextmanager
def redis_server(port):
    """A real Redis on loopback, nothing saved, ended with the block."""
    folder = tempfile.mkdtemp(prefix="turnpike-redis-")
    process = subprocess.Popen(
        ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder,
         "--logfile", str(pathlib.Path(folder) / "log")], stdout=subprocess.DEVNULL)
    try:
        end = time.monotonic() + 10
        while True:
            try:
                with socket.create_connection(("127.0.0.1", port), 1) as sock:
                    sock.sendall(b"PING\r\n")
                    if sock.recv(100).startswith(b"+PONG"):
                        break
            except OSError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.02)
        yield process
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)
