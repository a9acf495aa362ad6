"""Which address a request came from: X-Real-IP, X-Forwarded-*, limits by address, for trusted and other peers."""
import socket

import pytest

from support.gateway import free_port
from support.wire import Reader, read_answer

pytestmark = pytest.mark.asan

CLIENT, PROXY = "198.51.100.9", "203.0.113.5"


def upstream_sees(gateway, origin, headers):
    assert gateway.get("/x", headers).status == 200
    request = origin.requests[-1]
    return {name: request.header(name) for name in
            ("x-real-ip", "x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port",
             "x-forwarded-path")}


@pytest.fixture
def behind(own_gateway, origin):
    """behind(settings): a gateway with one service."""
    def make(**settings):
        gateway = own_gateway(settings=settings)
        gateway.service = gateway.admin.service(url=origin.url, paths=["/"])
        return gateway
    return make


FORGED = {"X-Real-IP": CLIENT, "X-Forwarded-For": CLIENT, "X-Forwarded-Proto": "https", "X-Forwarded-Host": "shop.test",
          "X-Forwarded-Port": "443", "X-Forwarded-Path": "/shop"}


def test_an_untrusted_peer_is_who_it_is(behind, origin):
    gateway = behind()
    assert upstream_sees(gateway, origin, {"Host": "a.test", **FORGED}) == {
        "x-real-ip": "127.0.0.1", "x-forwarded-for": f"{CLIENT}, 127.0.0.1", "x-forwarded-proto": "http",
        "x-forwarded-host": "a.test", "x-forwarded-port": str(gateway.proxy_port), "x-forwarded-path": "/x"}


def test_a_trusted_peer_speaks_for_the_client(behind, origin):
    gateway = behind(trusted_ips="127.0.0.0/8")
    assert upstream_sees(gateway, origin, {"Host": "a.test", **FORGED}) == {
        "x-real-ip": CLIENT, "x-forwarded-for": f"{CLIENT}, 127.0.0.1", "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.test", "x-forwarded-port": "443", "x-forwarded-path": "/shop"}


@pytest.mark.parametrize("recursive, seen", [("off", PROXY), ("on", CLIENT)])
def test_the_list_of_x_forwarded_for(behind, origin, recursive, seen):
    """Off: its last address. On: the last that is not trusted itself."""
    gateway = behind(trusted_ips=f"127.0.0.1,{PROXY}", real_ip_header="X-Forwarded-For", real_ip_recursive=recursive)
    sees = upstream_sees(gateway, origin, {"X-Forwarded-For": f"192.0.2.66, {CLIENT}, {PROXY}"})
    assert sees["x-real-ip"] == seen
    assert sees["x-forwarded-for"] == f"192.0.2.66, {CLIENT}, {PROXY}, 127.0.0.1"


def test_one_connection_may_carry_many_clients(behind, origin):
    gateway = behind(trusted_ips="127.0.0.1", real_ip_header="X-Forwarded-For")
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
        reader = Reader(sock)
        for header in ("X-Forwarded-For: 192.0.2.1\r\n", "", "X-Forwarded-For: 2001:db8::7\r\n"):
            sock.sendall(f"GET / HTTP/1.1\r\nHost: a\r\n{header}\r\n".encode())
            assert read_answer(reader, "GET").status == 200
    assert [r.header("x-real-ip") for r in origin.requests] == ["192.0.2.1", "127.0.0.1", "2001:db8::7"]


def test_limits_by_address_count_the_client_and_not_the_proxy(behind):
    gateway = behind(trusted_ips="127.0.0.1", real_ip_header="X-Forwarded-For")
    gateway.admin.plugin("rate-limiting", {"hour": 1, "limit_by": "ip", "policy": "local"}, service=gateway.service)

    def call(address):
        return gateway.get("/", {"X-Forwarded-For": address}).status

    assert [call("192.0.2.1"), call("192.0.2.2"), call("192.0.2.1"), call("192.0.2.3")] == [200, 200, 429, 200]


def test_an_untrusted_peer_cannot_choose_its_counter(behind):
    gateway = behind(real_ip_header="X-Forwarded-For")
    gateway.admin.plugin("rate-limiting", {"hour": 1, "limit_by": "ip", "policy": "local"}, service=gateway.service)
    assert [gateway.get("/", {"X-Forwarded-For": f"192.0.2.{n}"}).status for n in range(3)] == [200, 429, 429]


# --- The PROXY protocol


def through_proxy_protocol(port, header):
    with socket.create_connection(("127.0.0.1", port), 5) as sock:
        sock.sendall(header + b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        return read_answer(Reader(sock), "GET").status


V1 = f"PROXY TCP4 {CLIENT} 127.0.0.1 5555 80\r\n".encode()
V2 = (b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c" + socket.inet_aton(CLIENT) + socket.inet_aton("127.0.0.1")
      + (5555).to_bytes(2, "big") + (80).to_bytes(2, "big"))


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
def test_the_proxy_protocol_names_the_client(own_gateway, origin, header):
    port = free_port()
    plain = free_port()
    gateway = own_gateway(proxy_listen=f"127.0.0.1:{plain}",
                          settings={"proxy_listen": f"127.0.0.1:{plain}, 127.0.0.1:{port} proxy_protocol",
                                    "trusted_ips": "127.0.0.1", "real_ip_header": "proxy_protocol"})
    service = gateway.admin.service(url=origin.url, paths=["/"])
    gateway.admin.plugin("rate-limiting", {"hour": 1, "limit_by": "ip", "policy": "local"}, service=service)
    assert [through_proxy_protocol(port, header) for _ in range(2)] == [200, 429]
    request = origin.requests[0]
    assert request.header("x-real-ip") == CLIENT
    assert request.header("x-forwarded-for") == CLIENT
