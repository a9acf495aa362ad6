"""HTTP/2: over TLS, and without TLS on the port of HTTP/1.1."""
import contextlib
import re
import signal
import socket
import subprocess
import time

import pytest

from support.gateway import free_port
from support.origins import answer
from support.wire import Reader, read_answer

pytestmark = pytest.mark.asan

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
SETTINGS = b"\0\0\0\4\0\0\0\0\0"
PROXY_V1 = b"PROXY TCP4 192.0.2.7 127.0.0.1 5555 80\r\n"


@pytest.fixture
def listeners(own_gateway):
    """A gateway with three listeners: a plain one, one with TLS and HTTP/2, one behind the PROXY protocol."""
    def make(**settings):
        plain, tls, behind = free_port(), free_port(), free_port()
        listen = f"127.0.0.1:{plain}, 127.0.0.1:{tls} ssl http2, 127.0.0.1:{behind} proxy_protocol"
        gateway = own_gateway(proxy_listen=f"127.0.0.1:{plain}", settings={"proxy_listen": listen, **settings})
        gateway.tls_port, gateway.behind_port = tls, behind
        return gateway
    return make


def curl(*arguments):
    """(HTTP version, status, body)"""
    done = subprocess.run(["curl", "-sk", "--max-time", "15", "-w", "\n%{http_version} %{http_code}", *arguments],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, (done.returncode, done.stderr)
    body, last = done.stdout.rsplit("\n", 1)
    version, status = last.split()
    return version, int(status), body


def h2load(url, requests=2000, clients=8, streams=10):
    done = subprocess.run(["h2load", "-n", str(requests), "-c", str(clients), "-m", str(streams), url],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return re.search(r"requests: .*", done.stdout).group(), re.search(r"status codes: .*", done.stdout).group()


def first_frame(sock):
    """The first bytes that the server says; HTTP/2 begins with SETTINGS (type 4)."""
    sock.settimeout(5)
    return Reader(sock).exactly(9)[3]


def wait_for_end(sock):
    """Also a reset is an end: what was sent has not been read."""
    sock.settimeout(10)
    with contextlib.suppress(ConnectionResetError):
        while sock.recv(100):
            pass


def test_both_protocols_share_the_plain_port(listeners, origin):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    url = f"http://127.0.0.1:{gateway.proxy_port}/a?b=c"
    assert curl("--http2-prior-knowledge", url) == ("2", 200, "ok")
    assert curl("--http1.1", url) == ("1.1", 200, "ok")
    assert curl("--http2", url) == ("1.1", 200, "ok")  # an upgrade is asked for and not granted, as in Kong
    via_h2, via_h1 = origin.requests[:2]
    assert via_h2.line == via_h1.line == "GET /a?b=c HTTP/1.1"
    assert via_h2.header("via") == "2 kong/3.9.1" and via_h1.header("via") == "1.1 kong/3.9.1"


def test_http2_over_tls_is_negotiated(listeners, origin):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    url = f"https://127.0.0.1:{gateway.tls_port}/"
    assert curl("--http2", url) == ("2", 200, "ok")
    assert curl("--http1.1", url) == ("1.1", 200, "ok")
    assert [r.header("x-forwarded-proto") for r in origin.requests] == ["https", "https"]


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_bodies_of_both_directions_arrive(listeners, origin, scheme, tmp_path):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    sent = tmp_path / "body"
    sent.write_bytes(bytes(range(256)) * 4096)
    origin.script = lambda request, connection: answer(body=str(sum(request.body)).encode() + b"." * 300000)
    port, flag = (gateway.proxy_port, "--http2-prior-knowledge") if scheme == "http" else (gateway.tls_port, "--http2")
    version, status, body = curl(flag, "--data-binary", f"@{sent}", f"{scheme}://127.0.0.1:{port}/")
    assert (version, status) == ("2", 200)
    assert body.rstrip(".") == str(sum(sent.read_bytes())) and len(body) > 300000


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_many_streams_at_once(listeners, origin, scheme):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    port = gateway.proxy_port if scheme == "http" else gateway.tls_port
    requests, statuses = h2load(f"{scheme}://127.0.0.1:{port}/")
    assert "2000 succeeded, 0 failed, 0 errored" in requests
    assert "2000 2xx" in statuses


def test_a_trickling_preface_is_understood(listeners):
    gateway = listeners()
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in PREFACE[:6]:
            sock.sendall(bytes([byte]))
            time.sleep(0.02)
        sock.sendall(PREFACE[6:] + SETTINGS)
        assert first_frame(sock) == 4


@pytest.mark.parametrize("begin", [b"P", b"PR", b"PRI"])
def test_what_only_begins_like_a_preface_is_http1(listeners, origin, begin):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    rest = {b"P": b"OST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n", b"PR": b"OPFIND / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"PRI": b"NT / HTTP/1.1\r\nHost: a\r\n\r\n"}[begin]
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.sendall(begin)
        time.sleep(0.05)
        sock.sendall(rest)
        assert read_answer(Reader(sock), "GET").status == 200
    assert origin.requests[0].method.encode() == begin + rest.split(b" ")[0]


@pytest.mark.parametrize("said", [b"", b"PRI * HT"])
def test_who_says_nothing_or_half_is_closed_after_the_header_timeout(listeners, said):
    gateway = listeners(nginx_http_client_header_timeout="1s")
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 10) as sock:
        start = time.monotonic()
        sock.sendall(said)
        wait_for_end(sock)
        assert 0.8 < time.monotonic() - start < 4


def test_half_a_preface_and_goodbye_does_no_harm(listeners, origin):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    for said in (b"", b"P", PREFACE[:10], PREFACE, PREFACE + SETTINGS):
        with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
            sock.sendall(said)
            sock.shutdown(socket.SHUT_WR)
            wait_for_end(sock)
    assert gateway.get("/").status == 200


def test_without_any_http2_listener_there_is_none(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
        sock.sendall(PREFACE + SETTINGS)
        assert read_answer(Reader(sock), "GET").status in (0, 400)


def test_behind_a_proxy_header_too(listeners, origin):
    gateway = listeners(trusted_ips="127.0.0.1", real_ip_header="proxy_protocol")
    gateway.admin.service(url=origin.url, paths=["/"])
    with socket.create_connection(("127.0.0.1", gateway.behind_port), 5) as sock:
        sock.sendall(PROXY_V1 + PREFACE + SETTINGS)
        assert first_frame(sock) == 4
    done = curl("--http2-prior-knowledge", "--haproxy-protocol", f"http://127.0.0.1:{gateway.behind_port}/")
    assert done == ("2", 200, "ok")
    assert origin.requests[-1].header("x-real-ip") == "127.0.0.1"


def test_what_comes_instead_of_a_proxy_header_is_not_logged(listeners):
    gateway = listeners(log_level="info")
    with socket.create_connection(("127.0.0.1", gateway.behind_port), 5) as sock:
        sock.sendall(b"GET /?apikey=sesame-123 HTTP/1.1\r\nHost: a\r\n\r\n")
        assert read_answer(Reader(sock), "GET").status == 0
    said = gateway.said()
    assert "no PROXY protocol header" in said and "sesame" not in said


def test_a_stop_tells_http2_clients_to_go_away(listeners, origin):
    gateway = listeners()
    gateway.admin.service(url=origin.url, paths=["/"])
    url = f"http://127.0.0.1:{gateway.proxy_port}/"
    with subprocess.Popen(["h2load", "-D", "3", "-c", "4", "-m", "5", url], stdout=subprocess.PIPE, text=True) as load:
        time.sleep(1)
        done = gateway.run("reload")
        assert done.returncode == 0, done.stderr
        said = load.communicate(timeout=30)[0]
    assert " 0 4xx, 0 5xx" in re.search(r"status codes: .*", said).group()
    gateway.process.send_signal(signal.SIGTERM)
    assert gateway.process.wait(20) == 0
