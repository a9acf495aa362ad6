"""Where one message ends and the next begins, on both sides, with buffering on and off. Reference: proxying.md."""
import hashlib
import os
import socket
import threading
import time

import pytest

from support.gateway import wait_until
from support.origins import Origin, answer
from support.wire import Reader, read_answer

pytestmark = pytest.mark.asan

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(params=[True, False], ids=["buffered", "unbuffered"])
def served(request, gateway, origin):
    """serve(script, **fields): a route to the origin, once with buffering and once without."""
    def serve(script, **fields):
        origin.script = script
        gateway.admin.service(url=origin.url, route={"paths": ["/"], "strip_path": False, "request_buffering": request.param,
                                                     "response_buffering": request.param}, **fields)
        return gateway
    return serve


def exchange(gateway, data, timeout=10):
    """Send bytes, read until the gateway closes."""
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=timeout) as sock:
        sock.sendall(data)
        out = b""
        while True:
            try:
                piece = sock.recv(65536)
            except ConnectionResetError:
                return out
            if not piece:
                return out
            out += piece


def get(gateway, version=b"1.1", method=b"GET"):
    return exchange(gateway, method + b" / HTTP/" + version + b"\r\nHost: h\r\nConnection: close\r\n\r\n")


def status(text):
    return int(text.split(b" ", 2)[1])


def body(text):
    return text.partition(b"\r\n\r\n")[2]


def chunks(data, size=7000):
    pieces = [data[i:i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(p), p) for p in pieces) + b"0\r\n\r\n"


def unchunk(data):
    out = b""
    while True:
        size, _, data = data.partition(b"\r\n")
        size = int(size, 16)
        if size == 0:
            return out
        out, data = out + data[:size], data[size + 2:]


def closing(reply):
    """A script that writes `reply` and closes."""
    def script(request, connection):
        connection.sendall(reply)
        return False
    return script


def in_pieces(*pieces, pause=0.02):
    def script(request, connection):
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
    return script


# --- answers


@pytest.mark.parametrize("reply, expected", [
    (CHUNKED + b"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n", b"hello world"),
    (CHUNKED + b"5;name=value\r\nhello\r\n0;last\r\n\r\n", b"hello"),
    (CHUNKED + b"0005\r\nhello\r\n000\r\n\r\n", b"hello"),
    (CHUNKED + b"5\r\nhello\r\n0\r\nX-Trailer: 1\r\nX-Other: 2\r\n\r\n", b"hello"),
    (CHUNKED + b"A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", b"0123456789" * 2),
    (CHUNKED + b"0\r\n\r\n", b""),
], ids=["plain", "extensions", "leading zeros", "trailers", "hex cases", "empty"])
def test_chunked_answers(served, reply, expected):
    gateway = served(lambda request, connection: reply)
    for _ in range(3):  # on a kept connection, where a byte too few or too many would show
        text = get(gateway)
        assert status(text) == 200 and text.endswith(b"0\r\n\r\n")
        assert unchunk(body(text)) == expected
        assert body(get(gateway, b"1.0")) == expected


def test_chunks_split_at_every_byte(served):
    wire = CHUNKED + b"5;x\r\nhello\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n"
    gateway = served(in_pieces(*(bytes([b]) for b in wire), pause=0.002))
    assert unchunk(body(get(gateway))) == b"hello world"


@pytest.mark.parametrize("tail", [b"zz\r\nhello\r\n0\r\n\r\n", b"5\r\nhelloXX", b"-5\r\nhello\r\n0\r\n\r\n",
                                  b"ffffffffffffffffff\r\nhello\r\n0\r\n\r\n", b"5\r\nhello\r\n"],
                         ids=["no number", "no line end", "negative", "overflow", "cut"])
def test_a_broken_chunk_never_looks_complete(served, tail):
    text = get(served(closing(CHUNKED + b"3\r\nabc\r\n" + tail)))
    assert text == b"" or status(text) in (200, 502)  # closed at once, when the break was seen before the head left
    assert not text.endswith(b"0\r\n\r\n")


@pytest.mark.parametrize("code, reason", [(204, b"No Content"), (304, b"Not Modified")])
@pytest.mark.parametrize("rest", [b"\r\n", b"Content-Length: 5\r\n\r\nhello", b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"],
                         ids=["bare", "with length", "with chunks"])
def test_answers_without_a_body_have_none(served, code, reason, rest):
    gateway = served(lambda request, connection: b"HTTP/1.1 %d %s\r\nETag: \"x\"\r\n%s" % (code, reason, rest))
    for _ in range(3):  # what follows such a head must not be taken for the next answer
        text = get(gateway)
        assert status(text) == code and body(text) == b"" and b"chunked" not in text


@pytest.mark.parametrize("head", [b"Content-Length: 1234\r\n", b"Transfer-Encoding: chunked\r\n", b""],
                         ids=["length", "chunked", "neither"])
def test_head_has_no_body_whatever_it_announces(served, head):
    gateway = served(lambda request, connection: OK + head + b"X-A: 1\r\n\r\n")
    for _ in range(2):
        text = get(gateway, method=b"HEAD")
        assert status(text) == 200 and body(text) == b"" and b"X-A: 1" in text
        assert (b"Content-Length: 1234" in text) == (b"1234" in head)


def test_interim_answers_are_swallowed(served):
    gateway = served(lambda request, connection: b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"
                     + OK + b"Content-Length: 2\r\n\r\nok")
    for _ in range(3):
        text = get(gateway)
        assert (status(text), body(text)) == (200, b"ok") and b"Link" not in text


def test_interim_answers_without_end_are_bounded(served):
    def forever(request, connection):
        for _ in range(100_000):
            connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)
    started = time.monotonic()
    assert status(get(served(forever, read_timeout=500, retries=0))) in (502, 504)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("reply", [b"HTTP/1.0 200 OK\r\n\r\nold", OK + b"Connection: close\r\n\r\nold",
                                   b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nold",
                                   b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold"],
                         ids=["1.0", "until close", "1.0 length", "1.0 kept"])
def test_answers_that_end_with_the_connection(served, reply):
    gateway = served(closing(reply))
    for _ in range(3):
        text = get(gateway)
        assert status(text) == 200 and b"old" in body(text)


@pytest.mark.parametrize("reply", [OK + b"Content-Length: 100\r\n\r\nshort", CHUNKED + b"5\r\nhello\r\n", CHUNKED + b"64\r\nhello"],
                         ids=["length", "between chunks", "inside a chunk"])
def test_a_cut_answer_is_not_passed_as_whole(served, reply):
    text = get(served(closing(reply)))
    assert status(text) == 200 and not text.endswith(b"0\r\n\r\n")
    assert len(body(text)) < 100


@pytest.mark.parametrize("reply", [
    OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    OK + b"Content-Length: -2\r\n\r\nok", OK + b"Content-Length: 2x\r\n\r\nok", OK + b"Content-Length: \r\n\r\nok",
    OK + b"Content-Length: 99999999999999999999\r\n\r\nok",
    OK + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
    OK + b"Transfer-Encoding: gzip\r\n\r\nok",
], ids=["twice", "and chunks", "negative", "letters", "empty", "overflow", "chunked twice", "unknown coding"])
def test_answers_of_doubtful_length_are_a_502(served, reply):
    assert status(get(served(closing(reply), retries=0))) == 502


def test_an_unasked_upgrade_is_a_502(served):
    gateway = served(lambda request, connection: b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                     b"Upgrade: websocket\r\n\r\n", retries=0)
    assert status(get(gateway)) == 502


def test_large_heads_up_to_the_buffer_pass_and_beyond_are_a_502(served, origin):
    gateway = served(lambda request, connection: OK + b"X: " + b"a" * 7000 + b"\r\nContent-Length: 20000\r\n\r\n" + b"z" * 20000)
    text = get(gateway)
    assert status(text) == 200 and b"X: " + b"a" * 7000 + b"\r\n" in text and body(text) == b"z" * 20000
    origin.script = lambda request, connection: OK + b"X: " + b"a" * 40000 + b"\r\nContent-Length: 2\r\n\r\nok"
    assert status(get(gateway)) == 502


def test_many_small_headers_pass(served):
    head = b"".join(b"X-%d: %d\r\n" % (i, i) for i in range(250))
    text = get(served(lambda request, connection: OK + head + b"Content-Length: 2\r\n\r\nok"))
    assert status(text) == 200 and b"X-249: 249\r\n" in text


def test_status_reason_and_server_of_the_upstream_are_kept(served):
    text = get(served(lambda request, connection: b"HTTP/1.1 500 Nope\r\nContent-Length: 4\r\nServer: up\r\n\r\nnope"))
    assert text.startswith(b"HTTP/1.1 500 Nope\r\n") and b"Server: up\r\n" in text and body(text) == b"nope"


def test_a_slow_client_gets_all_of_a_big_answer(served):
    piece = bytes(range(256)) * 256
    gateway = served(lambda request, connection: OK + b"Content-Length: %d\r\n\r\n" % (len(piece) * 80) + piece * 80)
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        sock.settimeout(10)
        sock.connect(("127.0.0.1", gateway.proxy_port))
        sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        time.sleep(0.3)
        reply = read_answer(Reader(sock), "GET")
    assert hashlib.sha256(reply.raw).digest() == hashlib.sha256(piece * 80).digest()


# --- requests


def echo(request, connection):
    return answer(body=request.body)


@pytest.mark.parametrize("head, data", [
    (b"Content-Length: 5\r\n", b"12345"),
    (b"Transfer-Encoding: chunked\r\n", b"3\r\n123\r\n2\r\n45\r\n0\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"3;ext=1\r\n123\r\n2\r\n45\r\n0\r\nX-Trailer: 1\r\n\r\n"),
    (b"Transfer-Encoding: chunked\r\n", b"00000005\r\n12345\r\n00\r\n\r\n"),
    (b"Transfer-Encoding: Chunked\r\n", b"5\r\n12345\r\n0\r\n\r\n"),
], ids=["length", "chunks", "extensions and trailers", "leading zeros", "case"])
def test_bodies_go_up_whole_and_framed_once(served, origin, head, data):
    text = exchange(served(echo), b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + head + b"\r\n" + data)
    assert (status(text), body(text)) == (200, b"12345")
    request = origin.requests[0]
    assert len(request.all("content-length")) + len(request.all("transfer-encoding")) == 1
    assert request.header("x-trailer") is None


@pytest.mark.parametrize("head, data", [(b"Content-Length: 0\r\n", b""), (b"Transfer-Encoding: chunked\r\n", b"0\r\n\r\n")],
                         ids=["length", "chunks"])
def test_empty_bodies(served, origin, head, data):
    gateway = served(echo)
    text = exchange(gateway, b"POST / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n" + data
                    + b"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    assert text.count(b"HTTP/1.1 200") == 2
    assert [r.body for r in origin.requests] == [b"", b""]


@pytest.mark.parametrize("chunked", [False, True], ids=["length", "chunks"])
def test_big_bodies_go_both_ways(served, chunked):
    data = os.urandom(300_000)
    head, wire = (b"Transfer-Encoding: chunked\r\n", chunks(data)) if chunked else (b"Content-Length: 300000\r\n", data)
    text = exchange(served(echo), b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n" + head + b"\r\n" + wire)
    assert body(text) == data


def test_kept_connections_with_bodies_of_every_kind(served, origin):
    gateway = served(echo)
    sock = socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10)
    with sock:
        reader = Reader(sock)
        for n in range(12):
            data = b"%d" % n * (n * 1000)
            if n % 3 == 0:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
            elif n % 3 == 1:
                sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(data))
            else:
                data = b""
                sock.sendall(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert read_answer(reader, "POST").raw == data
    assert origin.connections <= 2


def test_a_body_that_nobody_reads_does_not_disturb_the_next_request(gateway):
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
        reader = Reader(sock)
        for n in range(5):
            sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: h\r\nContent-Length: 50000\r\n\r\n" + b"x" * 50000)
            assert read_answer(reader, "POST").status == 404
        sock.sendall(b"POST /nowhere HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"y" * 50000))
        assert read_answer(reader, "POST").status == 404
        sock.sendall(b"GET /nowhere HTTP/1.1\r\nHost: h\r\n\r\n")
        assert read_answer(reader, "GET").status == 404


class Impatient(Origin):
    """Answers when it has the head, and reads no body."""

    def read_body(self, connection, request, data):
        return b"", b""


def test_an_answer_before_the_body_was_sent(gateway):
    """The upstream refuses on the head alone; the client is told, and its connection is not reused for another's."""
    with Impatient(closing(answer(413, b"too much for me", [("Connection", "close")]))) as early:
        gateway.admin.service(url=early.url, route={"paths": ["/"], "request_buffering": False}, retries=0)
        sock = socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10)
        with sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 1000)
            reply = read_answer(Reader(sock), "POST")
        assert (reply.status, reply.raw) == (413, b"too much for me")


def test_unread_upstream_bytes_never_reach_another_caller(gateway):
    """An origin that answers early and keeps the connection would read the rest of the body as the next request."""
    with Impatient(lambda request, connection: answer(body=request.line.encode())) as early:
        gateway.admin.service(url=early.url, route={"paths": ["/"], "strip_path": False, "request_buffering": False}, retries=0)
        for n in range(10):
            with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
                sock.sendall(b"POST /p HTTP/1.1\r\nHost: h\r\nContent-Length: 60\r\n\r\nGET /smuggled HTTP/1.1\r\n")
                read_answer(Reader(sock), "POST")
            assert gateway.get("/own").raw == b"GET /own HTTP/1.1"


def test_retries_with_streamed_bodies_send_the_body_once(gateway, origin):
    origin.script = lambda request, connection: False
    gateway.admin.service(url=origin.url, route={"paths": ["/"], "request_buffering": False}, retries=3)
    text = exchange(gateway, b"PUT / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks(b"abc" * 5000))
    assert status(text) == 502
    assert len(origin.requests) == 1  # what was streamed cannot be told again


def test_retries_with_buffered_bodies_tell_the_same_again(gateway, origin):
    seen = []

    def second_time(request, connection):
        seen.append(request.body)
        return False if len(seen) == 1 else answer(body=request.body)
    origin.script = second_time
    gateway.admin.service(url=origin.url, paths=["/"], retries=3)
    data = "abc" * 50000
    reply = gateway.request("PUT", "/", body=data)
    assert (reply.status, reply.raw, seen) == (200, data.encode(), [data.encode()] * 2)


def test_requests_after_errors_find_working_connections(served, origin):
    """Good and bad answers in turn over the pool: a broken connection is never handed out again."""
    turn = []

    def script(request, connection):
        turn.append(1)
        kind = request.target
        if kind == "/garbage":
            return b"blah blah\r\n\r\n"
        if kind == "/more":
            return OK + b"Content-Length: 2\r\n\r\nokEXTRA"
        if kind == "/cut":
            connection.sendall(OK + b"Content-Length: 10\r\n\r\nok")
            return False
        return answer(body=kind.encode())
    gateway = served(script, retries=0)
    for n in range(40):
        try:
            gateway.get(["/garbage", "/more", "/cut", "/good"][n % 4])
        except EOFError:
            pass  # cut, as announced
        reply = gateway.get(f"/n{n}")
        assert (reply.status, reply.raw) == (200, b"/n%d" % n)


# --- upgrades


UPGRADE = (b"GET / HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
           b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")


def test_a_refused_upgrade_is_an_ordinary_answer(served):
    gateway = served(lambda request, connection: answer(426, b"not here"))
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
        reader = Reader(sock)
        for _ in range(3):
            sock.sendall(UPGRADE)
            reply = read_answer(reader, "GET")
            assert (reply.status, reply.raw) == (426, b"not here")


@pytest.mark.parametrize("who", ["client", "upstream"])
def test_an_upgraded_connection_ends_when_either_side_ends(served, origin, who):
    ended = threading.Event()

    def talk(request, connection):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while connection.recv(1000) not in (b"", b"bye"):
            pass
        ended.set()
        return False
    gateway = served(talk)
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
        reader = Reader(sock)
        sock.sendall(UPGRADE)
        assert b" 101 " in reader.until(b"\r\n\r\n")
        if who == "upstream":
            sock.sendall(b"bye")
            assert reader.rest() == b""
    assert ended.wait(5)


def test_many_bytes_both_ways_after_an_upgrade(served):
    def mirror(request, connection):
        connection.sendall(b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n")
        while data := connection.recv(65536):
            connection.sendall(data)
        return False
    gateway = served(mirror)
    data = os.urandom(2_000_000)
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
        reader = Reader(sock)
        sock.sendall(UPGRADE)
        reader.until(b"\r\n\r\n")
        sender = threading.Thread(target=sock.sendall, args=(data,))
        sender.start()
        assert reader.exactly(len(data)) == data
        sender.join()


# --- clients that end badly


@pytest.mark.parametrize("data", [b"zz\r\n", b"3\r\nabc\r\nzz\r\n", b"3\r\nabcXX", b"ffffffffffffffffff\r\n", b"-1\r\n"],
                         ids=["at once", "later", "no line end", "overflow", "negative"])
def test_broken_chunks_of_the_client_are_a_400(served, origin, data):
    gateway = served(echo)
    text = exchange(gateway, b"POST / HTTP/1.1\r\nHost: h\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" + data)
    assert status(text) == 400 and b"request_id" in text
    assert origin.requests == []
    assert gateway.get("/").status == 200


def test_clients_that_leave_at_every_point_harm_nobody(served, origin):
    def script(request, connection):
        if request.target == "/late":
            time.sleep(0.1)
        return answer(body=b"x" * 300_000)
    gateway = served(script)
    worker_pids = set(gateway.children(gateway.pid_of("master")))
    for n in range(10):
        for data in (b"GET /late HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /big HTTP/1.1\r\nHost: h\r\n\r\n", b"GET /half HTTP/1.1\r\nHo",
                     b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nabc",
                     b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab"):
            with socket.create_connection(("127.0.0.1", gateway.proxy_port)) as sock:
                sock.sendall(data)
                if n % 2:
                    time.sleep(0.01)
    assert gateway.get("/").status == 200
    assert set(gateway.children(gateway.pid_of("master"))) == worker_pids
