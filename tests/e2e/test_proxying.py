"""What goes to the upstream and what comes back: framing, streaming, failures. Reference: proxying.md."""
import socket
import threading
import time

import pytest

from support.origins import Origin, answer
from support.wire import Reader, read_answer

pytestmark = pytest.mark.asan


def connect(gateway):
    sock = socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10)
    return sock, Reader(sock)


def test_forwards_path_query_headers_and_body(gateway, origin):
    gateway.admin.service(url=f"{origin.url}/base", paths=["/api"])
    assert gateway.post("/api/x?b=2&a=%2f", body=b"hello".decode(), headers={"X-Mine": "1"}).status == 200
    request = origin.requests[0]
    assert request.line == "POST /base/x?b=2&a=%2f HTTP/1.1"
    assert request.header("x-mine") == "1"
    assert request.header("host") == f"127.0.0.1:{origin.port}"
    assert request.header("x-forwarded-for") == "127.0.0.1"
    assert request.header("x-forwarded-proto") == "http"
    assert request.header("x-forwarded-path") == "/api/x"
    assert request.header("x-forwarded-prefix") == "/api"
    assert request.header("x-forwarded-port") == str(gateway.proxy_port)
    assert request.body == b"hello"


def test_answers_carry_the_gateways_marks(gateway, origin):
    gateway.admin.service(url=origin.url, paths=["/"])
    reply = gateway.get("/")
    assert reply.header("via") == "1.1 kong/3.9.1"
    assert reply.header("server") == "kong/3.9.1"
    assert reply.header("x-kong-proxy-latency").isdigit()
    assert reply.header("x-kong-upstream-latency").isdigit()
    assert len(reply.header("x-kong-request-id")) == 32


@pytest.mark.parametrize("accept, kind, start", [
    (None, "application/json; charset=utf-8", b'{\n  "message":"no Route matched with those values",\n'),
    ("text/html,*/*;q=0.1", "text/html; charset=utf-8", b"<!doctype html>"),
    ("application/xml", "application/xml; charset=utf-8", b'<?xml version="1.0"'),
    ("text/plain", "text/plain; charset=utf-8", b"no Route matched with those values\nrequest_id: "),
])
def test_errors_come_as_the_client_likes_them(gateway, accept, kind, start):
    reply = gateway.get("/nowhere", {"Accept": accept} if accept else {})
    assert (reply.status, reply.header("content-type")) == (404, kind)
    assert reply.raw.startswith(start)
    assert reply.header("x-kong-request-id").encode() in reply.raw


def test_upstream_connections_are_kept_and_reused(gateway, origin):
    gateway.admin.service(url=origin.url, paths=["/"])
    for _ in range(20):
        assert gateway.get("/").status == 200
    assert origin.connections <= 2  # at most one for each worker


def test_a_kept_connection_that_the_upstream_closed_costs_no_request(gateway, origin):
    def once(request, connection):
        connection.sendall(answer())
        connection.shutdown(socket.SHUT_RDWR)  # without having said so
    origin.script = once
    gateway.admin.service(url=origin.url, paths=["/"])
    assert [gateway.get("/").status for _ in range(30)] == [200] * 30


def test_streams_the_answer_as_it_comes(gateway, origin):
    go = threading.Event()

    def slowly(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n")
        assert go.wait(10)
        connection.sendall(b"4\r\nlast\r\n0\r\n\r\n")
    origin.script = slowly
    gateway.admin.service(url=origin.url, route={"paths": ["/"], "response_buffering": False})
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        reader.until(b"first")  # arrives although the rest does not exist yet
        go.set()
        reader.until(b"last")


def test_streams_the_request_as_it_comes(gateway, origin):
    seen = threading.Event()
    received = []

    class Streaming(Origin):
        def read_body(self, connection, request, data):
            while b"part1" not in data:
                data += self.receive(connection)
            seen.set()
            while b"0\r\n\r\n" not in data:
                data += self.receive(connection)
            received.append(data)
            return data, b""

    with Streaming() as streaming:
        gateway.admin.service(url=streaming.url, route={"paths": ["/"], "request_buffering": False})
        sock, reader = connect(gateway)
        with sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\npart1\r\n")
            assert seen.wait(10), "the first part reached the upstream before the last was sent"
            sock.sendall(b"5\r\npart2\r\n0\r\n\r\n")
            assert read_answer(reader, "POST").status == 200
    assert b"part2" in received[0]


def test_a_large_body_goes_both_ways(gateway, origin):
    origin.script = lambda request, connection: answer(body=request.body)
    gateway.admin.service(url=origin.url, paths=["/"])
    body = "x" * 5_000_000
    reply = gateway.post("/", body)
    assert (reply.status, len(reply.raw)) == (200, len(body))


def test_http_1_0_gets_no_chunks(gateway, origin):
    origin.script = lambda request, connection: (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n")
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
        text = reader.rest()
    assert text.endswith(b"\r\n\r\nabc") and b"chunked" not in text


def test_head_has_headers_only(gateway, origin):
    origin.script = lambda request, connection: b"HTTP/1.1 200 OK\r\nContent-Length: 7\r\nX-A: 1\r\n\r\n"
    gateway.admin.service(url=origin.url, paths=["/"])
    reply = gateway.request("HEAD", "/")
    assert (reply.status, reply.header("content-length"), reply.raw) == (200, "7", b"")


def test_expect_100_is_answered_here(gateway, origin):
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n")
        assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 100")
        sock.sendall(b"ab")
        assert read_answer(reader, "POST").status == 200
    assert origin.requests[0].header("expect") is None


def test_pipelined_requests_are_answered_in_order(gateway, origin):
    origin.script = lambda request, connection: answer(body=request.target.encode())
    gateway.admin.service(url=origin.url, route={"paths": ["/"], "strip_path": False})
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"".join(b"GET /%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(10)))
        assert [read_answer(reader, "GET").raw for _ in range(10)] == [b"/%d" % i for i in range(10)]


def test_websocket_bytes_pass_both_ways(gateway, origin):
    def upgrade(request, connection):
        assert request.header("connection") == "keep-alive, Upgrade"
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\nhi")
        connection.sendall(b"echo:" + connection.recv(100))
        time.sleep(0.2)
        return False
    origin.script = upgrade
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"GET /chat HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                     b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
        assert reader.until(b"\r\n\r\n").startswith(b"HTTP/1.1 101")
        assert reader.exactly(2) == b"hi"
        sock.sendall(b"ping")
        assert reader.exactly(9) == b"echo:ping"


# --- upstreams that misbehave


def status_of(gateway, origin, script, **service):
    origin.script = script
    gateway.admin.service(url=origin.url, paths=["/"], **service)
    return gateway.get("/")


@pytest.mark.parametrize("script", [
    lambda request, connection: False,                                             # closes at once
    lambda request, connection: b"HTTP/1.1 2",                                     # and then closes
    lambda request, connection: b"SSH-2.0-OpenSSH_9.2p1\r\n\r\n",                  # garbage
    lambda request, connection: b"HTTP/1.1 999999 X\r\n\r\n",
    lambda request, connection: b"HTTP/1.1 200 OK\r\nno colon here\r\n\r\n",
    lambda request, connection: b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
    lambda request, connection: b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
], ids=["closes", "half a line", "garbage", "bad status", "bad header", "two lengths", "huge header"])
def test_an_upstream_that_answers_nonsense_is_a_502(gateway, origin, script):
    def then_close(request, connection):
        reply = script(request, connection)
        if reply:
            connection.sendall(reply)
        return False
    reply = status_of(gateway, origin, then_close, retries=0)
    assert reply.status == 502
    assert b"An invalid response was received from the upstream server" in reply.raw


def test_an_upstream_that_stalls_is_a_504_after_its_timeout(gateway, origin):
    def stall(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nX-Slow")
        connection.recv(1)  # until the gateway has had enough
        return False
    start = time.monotonic()
    assert status_of(gateway, origin, stall, retries=0, read_timeout=300).status == 504
    assert 0.3 <= time.monotonic() - start < 5


def test_an_upstream_that_trickles_within_its_timeout_is_served(gateway, origin):
    def trickle(request, connection):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc":
            connection.sendall(bytes([byte]))
            time.sleep(0.005)
    reply = status_of(gateway, origin, trickle, read_timeout=1000)
    assert (reply.status, reply.raw) == (200, b"abc")


def test_more_body_than_announced_does_not_reach_the_next_answer(gateway, origin):
    def too_much(request, connection):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nX-Smuggled: 1\r\nContent-Length: 3\r\n\r\nbad"
    origin.script = too_much
    gateway.admin.service(url=origin.url, paths=["/"])
    for _ in range(10):
        reply = gateway.get("/")
        assert (reply.status, reply.raw, reply.header("x-smuggled")) == (200, b"ok", None)


def test_an_upstream_that_dies_in_the_body_does_not_look_complete(gateway, origin):
    def die(request, connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nonly this")
        return False
    origin.script = die
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = reader.until(b"\r\n\r\n")
        assert b"200" in head.split(b"\r\n")[0]
        assert len(reader.rest()) < 100


def test_refused_connections_are_tried_again_then_502(gateway):
    from support.gateway import free_port
    gateway.admin.service(url=f"http://127.0.0.1:{free_port()}", paths=["/"], retries=2)
    assert gateway.get("/").status == 502
    assert gateway.post("/", "body").status == 502


def test_a_post_that_was_sent_is_not_sent_again(gateway, origin):
    origin.script = lambda request, connection: False
    gateway.admin.service(url=origin.url, paths=["/"], retries=3)
    assert gateway.post("/", "body").status == 502
    assert len(origin.requests) == 1
    assert gateway.get("/").status == 502
    assert len(origin.requests) == 1 + 4


def test_a_client_that_leaves_does_no_harm(gateway, origin):
    started = threading.Event()

    def late(request, connection):
        started.set()
        time.sleep(0.3)
        return answer()
    origin.script = late
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, _ = connect(gateway)
    sock.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
    assert started.wait(5)
    sock.close()
    time.sleep(0.5)
    assert gateway.get("/").status == 200


# --- clients that misbehave


@pytest.mark.parametrize("head, status", [
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", 400),
    (b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 65536 + b"\r\n\r\n", 400),
    (b"GET /" + b"a" * 65536 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: x\r\nX Bad: 1\r\n\r\n", 400),
], ids=["two lengths", "length and chunks", "negative length", "bad chunk", "no host", "two hosts", "64k header", "64k path",
        "bad name"])
def test_malformed_requests_are_refused_and_not_passed_on(gateway, origin, head, status):
    gateway.admin.service(url=origin.url, paths=["/"])
    sock, reader = connect(gateway)
    with sock:
        sock.sendall(head)
        reply = read_answer(reader, "GET")
    assert reply.status == status
    assert b"request_id" in reply.raw
    assert origin.requests == []


def test_dot_segments_and_encoded_slashes_cannot_leave_the_route(gateway, origin):
    gateway.admin.service(url=f"{origin.url}/public", paths=["/open"])
    gateway.admin.service(url=f"{origin.url}/private", route={"paths": ["/closed"], "hosts": ["never.test"]})
    for path in ["/open/../closed/x", "/open/%2e%2e/closed/x", "/open/..%2fclosed"]:
        gateway.get(path)
    for request in origin.requests:
        assert "private" not in request.target and ".." not in request.target.split("/")


def test_a_catastrophic_regex_does_not_hold_the_worker(gateway, origin):
    gateway.admin.service(url=origin.url, route={"paths": ["~/(a+)+$"]})
    gateway.admin.service(url=origin.url, paths=["/fine"])
    start = time.monotonic()
    assert gateway.get("/" + "a" * 4000 + "!").status == 404
    assert gateway.get("/fine").status == 200
    assert time.monotonic() - start < 2
