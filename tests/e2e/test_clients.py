"""Programs that people use: curl, nghttp, h2load, wrk, a WebSocket library; and how errors look to each of them."""
import base64
import hashlib
import json
import shutil
import socket
import ssl
import subprocess
import xml.dom.minidom

import pytest

from support.gateway import Gateway, free_port
from support.origins import answer
from support.wire import Reader, read_answer

websocket = pytest.importorskip("websocket", reason="python3-websocket is not installed")


def needs(program):
    return pytest.mark.skipif(not shutil.which(program), reason=f"{program} is not installed")


def run(*arguments, **options):
    done = subprocess.run([str(a) for a in arguments], capture_output=True, text=True, timeout=60, **options)
    return done


@pytest.fixture(scope="module")
def tls_gateway():
    """Plain HTTP, and TLS with HTTP/2, on two ports."""
    plain, tls = free_port(), free_port()
    with Gateway(proxy_listen=f"127.0.0.1:{plain}", settings={
            "proxy_listen": f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl http2"}) as gateway:
        gateway.tls_port = tls
        yield gateway


@pytest.fixture
def served(tls_gateway, origin):
    origin.script = lambda request, connection: answer(body=request.body or b"hello from upstream")
    service = tls_gateway.admin.service(url=origin.url, paths=["/"])
    yield tls_gateway
    tls_gateway.admin.delete(f"/routes/{service['route']['id']}")
    tls_gateway.admin.delete(f"/services/{service['id']}")


@needs("curl")
@pytest.mark.parametrize("version", ["--http1.0", "--http1.1", "--http2"])
@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
def test_curl(served, version, tls, tmp_path):
    url = f"https://127.0.0.1:{served.tls_port}/" if tls else f"http://127.0.0.1:{served.proxy_port}/"
    got = run("curl", "-sSk", version, "-w", " %{http_code} %{http_version}", url)
    assert got.stdout.startswith("hello from upstream 200"), got.stderr
    if tls and version == "--http2":
        assert got.stdout.endswith(" 2")
    data = tmp_path / "data"
    data.write_bytes(b"0123456789" * 100_000)
    back = tmp_path / "back"
    for upload in (["--data-binary", f"@{data}"], ["-T", data], ["-H", "Transfer-Encoding: chunked", "--data-binary", f"@{data}"]):
        if "chunked" in str(upload) and version != "--http1.1":
            continue
        sent = run("curl", "-sSk", version, *upload, "-o", back, "-w", "%{http_code}", url)
        assert sent.stdout == "200", sent.stderr
        assert back.read_bytes() == data.read_bytes()
    assert run("curl", "-sSkI", version, url).stdout.startswith("HTTP/")


@needs("nghttp")
def test_nghttp_sees_the_answer_and_its_headers(served):
    got = run("nghttp", "-nv", "--no-verify-peer", f"https://127.0.0.1:{served.tls_port}/")
    assert ":status: 200" in got.stdout and "via: " in got.stdout, got.stdout[-2000:]


@needs("h2load")
def test_h2load_many_streams(served):
    got = run("h2load", "-n2000", "-c10", "-m20", f"https://127.0.0.1:{served.tls_port}/")
    assert "2000 succeeded, 0 failed, 0 errored" in got.stdout, got.stdout


@needs("h2load")
def test_h2load_with_bodies(served, tmp_path):
    data = tmp_path / "data"
    data.write_bytes(b"x" * 30_000)
    got = run("h2load", "-n400", "-c5", "-m10", "-d", data, f"https://127.0.0.1:{served.tls_port}/")
    assert "400 succeeded, 0 failed, 0 errored" in got.stdout, got.stdout


@needs("wrk")
def test_wrk_meets_no_error(served):
    got = run("wrk", "-t2", "-c50", "-d1s", f"http://127.0.0.1:{served.proxy_port}/")
    assert "Requests/sec" in got.stdout and "Non-2xx" not in got.stdout and "Socket errors" not in got.stdout, got.stdout


def accept_key(key):
    return base64.b64encode(hashlib.sha1(key.encode() + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest()).decode()


def echo_frames(request, connection):
    """A WebSocket server that sends each frame's text back."""
    connection.sendall(("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
                        + accept_key(request.header("sec-websocket-key")) + "\r\n\r\n").encode())

    def exactly(n):
        data = b""
        while len(data) < n:
            piece = connection.recv(n - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data
    while True:
        first, size = exactly(2)
        size &= 127
        if size == 126:
            size = int.from_bytes(exactly(2), "big")
        elif size == 127:
            size = int.from_bytes(exactly(8), "big")
        mask = exactly(4)
        data = bytes(b ^ mask[i % 4] for i, b in enumerate(exactly(size)))
        head = bytes([first]) + (bytes([size]) if size < 126 else b"\x7e" + size.to_bytes(2, "big") if size < 65536
                                 else b"\x7f" + size.to_bytes(8, "big"))
        connection.sendall(head + data)
        if first & 15 == 8:
            return False


@pytest.mark.parametrize("tls", [False, True], ids=["ws", "wss"])
def test_a_websocket_library(served, origin, tls):
    origin.script = echo_frames
    url = f"wss://127.0.0.1:{served.tls_port}/chat" if tls else f"ws://127.0.0.1:{served.proxy_port}/chat"
    options = {"sslopt": {"cert_reqs": ssl.CERT_NONE, "check_hostname": False}} if tls else {}
    client = websocket.create_connection(url, timeout=10, **options)
    for text in ("hello", "ü" * 1000, "x" * 70_000):
        client.send(text)
        assert client.recv() == text
    client.ping("are you there")
    client.close()
    assert origin.requests[-1].header("upgrade").lower() == "websocket"


def test_websockets_want_their_key_like_all_others(gateway, origin):
    service = gateway.admin.service(url=origin.url, paths=["/"])
    gateway.admin.plugin("key-auth", service=service)
    gateway.admin.consumer("ann", "the-key")
    origin.script = echo_frames
    url = f"ws://127.0.0.1:{gateway.proxy_port}/"
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(url, timeout=10)
    assert refused.value.status_code == 401
    client = websocket.create_connection(url, timeout=10, header=["apikey: the-key"])
    client.send("in")
    assert client.recv() == "in"
    client.close()


# --- errors as each kind of client likes them


def is_json(text):
    return set(json.loads(text)) >= {"message"}


def is_html(text):
    return text.lstrip().lower().startswith(b"<!doctype html>") and b"</html>" in text


def is_xml(text):
    return xml.dom.minidom.parseString(text).documentElement is not None


def is_plain(text):
    return not text.startswith((b"<", b"{"))


KINDS = [("application/json", is_json), ("text/html", is_html), ("application/xml", is_xml), ("text/plain", is_plain)]


def refusals(gateway, origin):
    """(path, headers, status) of errors of every origin: gateway, plugins, upstream."""
    origin.script = lambda request, connection: False
    gateway.admin.service(url=origin.url, paths=["/broken"], retries=0)
    keyed = gateway.admin.service(url=origin.url, paths=["/keyed"])
    gateway.admin.plugin("key-auth", service=keyed)
    full = gateway.admin.service(url=origin.url, paths=["/full"])
    gateway.admin.plugin("rate-limiting", {"year": 1}, service=full)
    gateway.get("/full")
    failing = gateway.admin.service(url=origin.url, paths=["/failing"])
    gateway.admin.plugin("request-transformer", {"add": {"headers": ["x:$(nil + 1)"]}}, service=failing)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        gateway.admin.service(url=f"http://127.0.0.1:{unused.getsockname()[1]}", paths=["/down"], retries=0)
    return [("/nowhere", 404), ("/broken", 502), ("/keyed", 401), ("/full", 429), ("/failing", 500), ("/down", 502)]


@pytest.mark.asan
@pytest.mark.parametrize("kind, check", KINDS, ids=[k for k, _ in KINDS])
def test_errors_of_gateway_plugins_and_upstreams(gateway, origin, kind, check):
    for path, status in refusals(gateway, origin):
        reply = gateway.get(path, {"Accept": kind})
        assert reply.status == status, path
        assert reply.header("content-type").startswith(kind), path
        assert check(reply.raw), (path, reply.raw)
        assert reply.header("server") and reply.header("x-kong-request-id"), path
        head = gateway.request("HEAD", path, {"Accept": kind})
        assert (head.status, head.raw) == (status, b"")


@pytest.mark.asan
@pytest.mark.parametrize("data, status", [
    (b"GET / HTTP/1.1\r\n\r\n", 400), (b"GET / HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 40000 + b"\r\n\r\n", 400),
    (b"GET /" + b"a" * 40000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414), (b"TRACE / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 405),
    (b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: x\r\n\r\n", 400),
], ids=["no host", "large header", "long line", "trace", "bad length"])
def test_errors_that_nginx_makes_are_ours_too(gateway, data, status):
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=10) as sock:
        sock.sendall(data)
        reply = read_answer(Reader(sock), "GET")
    assert reply.status == status
    assert b"nginx" not in reply.raw and "nginx" not in (reply.header("server") or "")
    assert b"request_id" in reply.raw
    assert reply.header("content-type").split(";")[0] in {k for k, _ in KINDS}
