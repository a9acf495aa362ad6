"""Clients that send too slowly, too little or too much."""
import socket
import time

import pytest

from support.gateway import free_port
from support.wire import Reader, read_answer

SLOW = {"nginx_http_client_body_timeout": "1s", "nginx_http_client_header_timeout": "1s"}


@pytest.fixture
def patient(own_gateway, origin):
    """A gateway that waits one second for a client's next bytes."""
    gateway = own_gateway(settings=SLOW)
    gateway.service = gateway.admin.service(url=origin.url, paths=["/"])
    return gateway


def open_request(gateway, data):
    sock = socket.create_connection(("127.0.0.1", gateway.proxy_port), 10)
    sock.sendall(data)
    return sock


def frame(kind, flags, stream, payload=b""):
    """A frame of HTTP/2."""
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload


def says(answer, status, message):
    assert answer.status == status
    assert answer.body["message"] == message and answer.body["request_id"] == answer.header("x-kong-request-id")
    assert answer.header("server") == "kong/3.9.1"


@pytest.mark.parametrize("length", ["Content-Length: 10\r\n\r\n123", "Transfer-Encoding: chunked\r\n\r\n3\r\n123\r\n"])
def test_a_body_that_never_arrives_is_a_408(patient, origin, length):
    start = time.monotonic()
    with open_request(patient, f"POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\n{length}".encode()) as sock:
        answer = read_answer(Reader(sock), "POST")
    assert 0.8 < time.monotonic() - start < 5
    says(answer, 408, "Request timeout")
    assert origin.requests == []


def test_a_body_that_goes_upstream_as_it_comes_ends_with_the_connection(own_gateway, origin):
    """The upstream has seen a part of it: neither of the two may take it for the whole."""
    gateway = own_gateway(settings=SLOW)
    gateway.admin.service(url=origin.url, route={"paths": ["/"], "request_buffering": False})
    with open_request(gateway, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123") as sock:
        assert read_answer(Reader(sock), "POST").status in (0, 408)
    assert origin.requests == []


def test_a_body_that_a_plugin_waits_for_is_a_408_too(patient):
    patient.admin.plugin("key-auth", {"key_in_body": True}, service=patient.service)
    head = "POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nContent-Type: application/json\r\n"
    with open_request(patient, (head + "Content-Length: 10\r\n\r\n{").encode()) as sock:
        says(read_answer(Reader(sock), "POST"), 408, "Request timeout")


def test_a_body_that_goes_on_arriving_may_take_its_time(patient, origin):
    """The time is between two reads, not for the whole."""
    with open_request(patient, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n") as sock:
        for _ in range(8):
            time.sleep(0.3)
            sock.sendall(b"x")
        assert read_answer(Reader(sock), "POST").status == 200
    assert origin.requests[0].body == b"x" * 8


def test_a_head_that_trickles_ends_with_the_time_for_it(patient):
    """Slow loris: the time is for the whole head, whatever trickles in."""
    start = time.monotonic()
    with open_request(patient, b"GET / HTTP/1.1\r\n") as sock:
        sock.settimeout(0.1)
        closed = None
        while closed is None and time.monotonic() - start < 8:
            try:
                sock.sendall(b"X")
                closed = sock.recv(1000)
            except TimeoutError:
                continue
            except OSError:
                closed = b""
    assert closed is not None and (closed == b"" or b" 408 " in closed)
    assert 0.8 < time.monotonic() - start < 4


def test_many_slow_clients_do_not_stop_others(patient):
    slow = [open_request(patient, b"GET / HTTP/1.1\r\nHost: a\r\n") for _ in range(200)]
    try:
        start = time.monotonic()
        assert all(patient.get("/").status == 200 for _ in range(20))
        assert time.monotonic() - start < 2
    finally:
        for sock in slow:
            sock.close()


@pytest.mark.parametrize("buffering", [True, False])
def test_a_body_over_the_limit_is_a_413(own_gateway, origin, buffering):
    gateway = own_gateway(settings={"nginx_http_client_max_body_size": "1k"})
    gateway.admin.service(url=origin.url, route={"paths": ["/"], "request_buffering": buffering})
    json = {"Accept": "application/json"}
    assert gateway.post("/", "x" * 1024, json).status == 200
    says(gateway.post("/", "x" * 1025, json), 413, "Payload too large")
    chunked = b"POST / HTTP/1.1\r\nHost: a\r\nAccept: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    with open_request(gateway, chunked + b"800\r\n" + b"x" * 2048 + b"\r\n0\r\n\r\n") as sock:
        says(read_answer(Reader(sock), "POST"), 413, "Payload too large")
    assert [len(r.body) for r in origin.requests] == [1024]
    assert gateway.get("/").status == 200


def test_a_body_that_never_arrives_over_http2_is_a_408_too(own_gateway, origin):
    plain, tls = free_port(), free_port()
    gateway = own_gateway(proxy_listen=f"127.0.0.1:{plain}",
                          settings={"proxy_listen": f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl http2", **SLOW})
    gateway.admin.service(url=origin.url, paths=["/"])
    head = bytes([0x83, 0x86, 0x84, 0x41, 1]) + b"a"  # POST, http, /, authority "a"
    with open_request(gateway, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + frame(1, 4, 1, head)) as sock:
        reader, body = Reader(sock), None
        while body is None:
            length, kind = int.from_bytes(reader.exactly(3), "big"), reader.exactly(6)[0]
            payload = reader.exactly(length)
            body = payload if kind == 0 else None  # DATA
    assert b"Request timeout" in body
    assert origin.requests == []
