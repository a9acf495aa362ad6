"""Nginx is exchanged or leaves while clients hold keep-alive connections: no request is lost."""
import os
import signal
import socket
import threading
import time

import pytest

from support.gateway import wait_until
from support.wire import Reader, read_answer

CLIENTS = 20


class KeepAlive(threading.Thread):
    """One client: requests on one connection for as long as the gateway lets it, then on a new one."""

    def __init__(self, port, pause=0.0):
        super().__init__(daemon=True)
        self.port, self.pause = port, pause
        self.ended = threading.Event()
        self.leaving = False  # nobody may listen any more
        self.ok, self.closes, self.failures = 0, 0, []

    def run(self):
        while not self.ended.is_set():
            try:
                sock = socket.create_connection(("127.0.0.1", self.port), 10)
            except OSError as error:
                self.failed(error, fresh=True)
                continue
            with sock:
                self.use(sock)

    def use(self, sock):
        reader, fresh = Reader(sock), True
        while not self.ended.is_set():
            try:
                sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
                answer = read_answer(reader, "GET")
            except OSError as error:
                return self.failed(error, fresh)
            if answer.status != 200:
                return self.failed(answer.status, fresh)
            self.ok, fresh = self.ok + 1, False
            if answer.header("connection") == "close":
                self.closes += 1
                return None
            if self.pause:
                time.sleep(self.pause)
        return None

    def failed(self, what, fresh):
        """After a stop a new connection may find nobody; one that was answered before may not be broken."""
        if fresh and self.leaving:
            self.ended.set()
        else:
            self.failures.append(repr(what))
            time.sleep(0.01)


class Crowd:
    def __init__(self, port, pause=0.0):
        self.clients = [KeepAlive(port, pause) for _ in range(CLIENTS)]

    def __enter__(self):
        for client in self.clients:
            client.start()
        self.wait_for_progress()
        return self

    def __exit__(self, *error):
        for client in self.clients:
            client.ended.set()
        for client in self.clients:
            client.join(15)

    def wait_for_progress(self):
        """Every client is answered once more."""
        before = [client.ok for client in self.clients]
        wait_until(lambda: all(client.ok > n or client.ended.is_set() for client, n in zip(self.clients, before)),
                   "all clients go on", 20)

    def leave(self):
        for client in self.clients:
            client.leaving = True

    @property
    def failures(self):
        return [failure for client in self.clients for failure in client.failures]

    @property
    def closes(self):
        return sum(client.closes for client in self.clients)


def masters(gateway):
    return [pid for pid, line in gateway.children().items() if "nginx: master" in line]


def reload(gateway):
    old = gateway.pid_of("master")
    done = gateway.run("reload")
    assert done.returncode == 0, done.stderr
    wait_until(lambda: old not in masters(gateway), "the old nginx is gone", 20)


@pytest.mark.parametrize("pause", [0.0, 0.3])
def test_reloads_and_a_stop_lose_no_request(own_gateway, origin, pause):
    """Busy clients, and clients that are idle at the moment of the change and come back a little later."""
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    with Crowd(gateway.proxy_port, pause) as crowd:
        for _ in range(3):
            closes = crowd.closes
            reload(gateway)
            crowd.wait_for_progress()
            assert crowd.closes >= closes + CLIENTS
        assert crowd.failures == []
        crowd.leave()
        gateway.process.send_signal(signal.SIGTERM)
        assert gateway.process.wait(20) == 0
    assert crowd.failures == []


def test_a_new_nginx_after_a_crash_of_the_master_loses_no_request(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    with Crowd(gateway.proxy_port) as crowd:
        old = gateway.pid_of("master")
        os.kill(old, signal.SIGKILL)
        wait_until(lambda: gateway.pid_of("master") not in (None, old), "a new master")
        wait_until(lambda: crowd.closes >= CLIENTS, "the old workers sent everybody away")
        crowd.wait_for_progress()
    assert crowd.failures == []


def test_who_stays_idle_is_closed_after_the_time_set(own_gateway, origin):
    gateway = own_gateway(settings={"drain_idle": "1"})
    gateway.admin.service(url=origin.url, paths=["/"])
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_answer(Reader(sock), "GET").status == 200
        start = time.monotonic()
        gateway.process.send_signal(signal.SIGTERM)
        assert sock.recv(1) == b""
        assert 0.8 < time.monotonic() - start < 4
    assert gateway.process.wait(20) == 0


def test_without_idle_clients_a_stop_does_not_wait(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    assert gateway.get("/").status == 200
    start = time.monotonic()
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(20)
    assert time.monotonic() - start < 3


def test_a_request_under_way_is_answered_although_the_gateway_leaves(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    arrived, go = threading.Event(), threading.Event()

    def slow(request, connection):
        arrived.set()
        go.wait(10)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"

    origin.script = slow
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        assert arrived.wait(5)
        gateway.process.send_signal(signal.SIGTERM)

        def refused():
            with socket.socket() as probe:
                return probe.connect_ex(("127.0.0.1", gateway.proxy_port)) != 0

        wait_until(refused, "nobody listens any more")
        go.set()
        answer = read_answer(Reader(sock), "GET")
        assert (answer.status, answer.raw, answer.header("connection")) == (200, b"late", "close")
    assert gateway.process.wait(20) == 0
