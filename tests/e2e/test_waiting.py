"""
Every point where a request waits: the client leaves, the other side leaves, time runs out, the gateway is reloaded.

Afterwards the same worker serves the next request, and holds neither memory nor descriptors for those that are gone.
"""
import contextlib
import os
import pathlib
import socket
import threading
import time

import pytest

from support.gateway import SANITIZED, wait_until
from support.origins import answer
from support.wire import Reader, read_answer

SETTINGS = {"nginx_worker_processes": "1", "nginx_http_resolver_timeout": "2s", "nginx_http_client_body_timeout": "2s"}
GET = b"GET /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"


class Point:
    """A gateway with the route /wait, whose requests get stuck, and /free, whose do not."""

    request = GET

    def __init__(self, gateway, origin, stack):
        self.gateway, self.origin, self.stack = gateway, origin, stack
        self.go = threading.Event()
        stack.callback(self.go.set)
        origin.script = answer()
        gateway.admin.service(url=origin.url, paths=["/free"])
        self.prepare()
        assert gateway.get("/free").status == 200

    def prepare(self):
        """Make the route that waits."""

    def is_reached(self, count):
        """Whether `count` requests wait."""
        raise NotImplementedError

    def release(self):
        """Let those that wait go on, to a 200."""
        self.go.set()

    def other_side_leaves(self):
        """What the waiting request waits for goes away."""


class Body(Point):
    request = b"POST /wait HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 8\r\n\r\n{"
    after_timeout = {408, 0}

    def prepare(self):
        service = self.gateway.admin.service(url=self.origin.url, paths=["/wait"])
        self.gateway.admin.plugin("key-auth", {"key_in_body": True, "anonymous": "nobody"}, service=service)
        self.gateway.admin.consumer("nobody")

    def is_reached(self, count):
        return True  # nothing shows it

    def rest(self, sock):
        sock.sendall(b'"a":12}')


class Name(Point):
    after_timeout = {500}

    def prepare(self):
        self.names = self.gateway.names
        self.names.silent = True
        self.gateway.admin.service(url=f"http://waiting.test:{self.origin.port}", paths=["/wait"])

    def is_reached(self, count):
        return bool(self.names.questions)

    def release(self):
        self.names.names["waiting.test"] = "127.0.0.1"
        self.names.speak()


class Redis(Point):
    after_timeout = {200}  # counted on the node
    after_leaving = {200}

    def prepare(self):
        self.listener = self.stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=64))
        self.accepted = []
        threading.Thread(target=self.accept, daemon=True).start()
        service = self.gateway.admin.service(url=self.origin.url, paths=["/wait"])
        self.gateway.admin.plugin("rate-limiting", {"hour": 100_000, "policy": "redis", "redis": {
            "host": "127.0.0.1", "port": self.listener.getsockname()[1], "timeout": 1500}}, service=service)

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                self.accepted.append(connection)
                self.stack.callback(connection.close)

    def is_reached(self, count):
        return bool(self.accepted)

    def release(self):
        self.other_side_leaves()

    def other_side_leaves(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for connection in self.accepted:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


class Connect(Point):
    after_timeout = {504}
    after_leaving = {502}

    def prepare(self):
        """A listener whose queue is full lets nobody in."""
        self.listener = self.stack.enter_context(socket.socket())
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(0)
        self.fillers = []
        for _ in range(4):
            filler = self.stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(self.listener.getsockname())
            self.fillers.append(filler)
        self.gateway.admin.service(url=f"http://127.0.0.1:{self.listener.getsockname()[1]}", paths=["/wait"], retries=0,
                                   connect_timeout=1500)

    def is_reached(self, count):
        return True

    def release(self):
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self.listener.accept()
                threading.Thread(target=self.answer_one, args=(connection,), daemon=True).start()

    @staticmethod
    def answer_one(connection):
        with connection, contextlib.suppress(OSError):
            if connection.recv(65536):
                connection.sendall(answer(headers=[("Connection", "close")]))

    def other_side_leaves(self):
        self.listener.close()


class Head(Point):
    first = b""
    after_timeout = {504}
    after_leaving = {502}

    def prepare(self):
        self.stuck = []
        self.leave = threading.Event()
        self.stack.callback(self.leave.set)

        def script(request, connection):
            if request.header("x-forwarded-prefix") != "/wait":
                return answer()
            self.stuck.append(connection)
            connection.sendall(self.first)
            self.go.wait(20)
            if self.leave.is_set():
                return False
            return answer(body=b"0123456789")[len(self.first):]
        self.origin.script = script
        self.gateway.admin.service(url=self.origin.url, paths=["/wait"], retries=0, read_timeout=1500)

    def is_reached(self, count):
        return len(self.stuck) >= count

    def other_side_leaves(self):
        self.leave.set()
        self.go.set()


class Answer(Head):
    first = answer(body=b"0123456789")[:-5]
    after_timeout = {0}  # cut: what was announced does not come
    after_leaving = {0}


POINTS = [Body, Name, Redis, Connect, Head, Answer]


@pytest.fixture
def at(own_gateway, origin, name_server, request):
    with contextlib.ExitStack() as stack:
        gateway = own_gateway(settings={**SETTINGS, "dns_resolver": f"127.0.0.1:{name_server.port}"})
        gateway.names = name_server
        point = request.param(gateway, origin, stack)
        yield point


every_point = pytest.mark.parametrize("at", POINTS, indirect=True, ids=lambda p: p.__name__.lower())


def ask(point, count=1):
    """`count` requests that wait at the point."""
    before = len(getattr(point, "stuck", []))
    socks = [socket.create_connection(("127.0.0.1", point.gateway.proxy_port), timeout=10) for _ in range(count)]
    for sock in socks:
        sock.sendall(point.request)
    wait_until(lambda: point.is_reached(before + count), "the requests wait")
    return socks


def result(sock):
    """The status, 0 when the answer is missing or cut."""
    try:
        return read_answer(Reader(sock), "GET").status
    except (EOFError, ConnectionError):
        return 0


def held(pid):
    """Descriptors, and private memory in kB."""
    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    private = sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Private_"))
    return len(os.listdir(f"/proc/{pid}/fd")), private


@pytest.mark.asan
@every_point
def test_clients_that_leave_leave_nothing_behind(at):
    worker = at.gateway.pid_of("worker")
    idle = held(worker)[0]

    def round_of(count):
        for sock in ask(at, count):
            sock.close()
        wait_until(lambda: held(worker)[0] <= idle + 4, f"descriptors are given back ({idle} when idle)")

    round_of(100)
    memory = held(worker)[1]
    for _ in range(10):
        round_of(50)
    assert at.gateway.get("/free").status == 200
    assert at.gateway.pid_of("worker") == worker
    assert SANITIZED or held(worker)[1] < memory + 2500  # 500 requests that stay would be some 5 MB


@pytest.mark.slow
@every_point
def test_time_runs_out(at):
    worker = at.gateway.pid_of("worker")
    started = time.monotonic()
    socks = ask(at, 5)
    assert {result(sock) for sock in socks} <= at.after_timeout
    assert time.monotonic() - started < 6
    assert at.gateway.get("/free").status == 200
    assert at.gateway.pid_of("worker") == worker


@pytest.mark.parametrize("at", [p for p in POINTS if p not in (Body, Name, Connect)], indirect=True,
                         ids=lambda p: p.__name__.lower())
def test_the_other_side_leaves(at):
    worker = at.gateway.pid_of("worker")
    socks = ask(at, 5)
    at.other_side_leaves()
    assert {result(sock) for sock in socks} <= at.after_leaving
    assert at.gateway.get("/free").status == 200
    assert at.gateway.pid_of("worker") == worker


@every_point
def test_a_reload_meanwhile_harms_nobody(at):
    socks = ask(at, 3)
    done = []
    reload = threading.Thread(target=lambda: done.append(at.gateway.run("reload")))
    old = at.gateway.pid_of("worker")
    reload.start()
    wait_until(lambda: at.gateway.pid_of("worker") not in (old, None), "a second nginx took over")
    at.release()
    for sock in socks:
        if isinstance(at, Body):
            at.rest(sock)
        assert result(sock) == 200
    reload.join(30)
    assert done[0].returncode == 0, done[0].stderr
    assert at.gateway.get("/free").status == 200


@pytest.mark.asan
def test_a_client_that_left_together_with_its_request_is_noticed(own_gateway, origin):
    """The end of the connection came in the same moment as the request: epoll tells of both only once."""
    gateway = own_gateway(settings=SETTINGS)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        service = gateway.admin.service(url=origin.url, paths=["/"])
        gateway.admin.plugin("rate-limiting", {"hour": 1, "policy": "redis", "redis": {
            "host": "127.0.0.1", "port": silent.getsockname()[1], "timeout": 300}}, service=service)
        worker = gateway.pid_of("worker")
        os.kill(worker, 19)  # STOP: what follows arrives at once
        for _ in range(5):
            with socket.create_connection(("127.0.0.1", gateway.proxy_port)) as sock:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        os.kill(worker, 18)
        time.sleep(0.5)
        assert gateway.get("/").status == 200  # the one call of the hour was not spent on them


def test_many_wait_at_once_and_all_are_served(own_gateway, origin):
    gateway = own_gateway(settings=SETTINGS)
    go = threading.Event()

    def script(request, connection):
        go.wait(20)
        return answer()
    origin.script = script
    gateway.admin.service(url=origin.url, paths=["/"])
    socks = [socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=20) for _ in range(200)]
    for sock in socks:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    wait_until(lambda: len(origin.requests) == 200, "all have reached the origin")
    go.set()
    assert [result(sock) for sock in socks] == [200] * 200
