"""Callers who mean harm: what they send costs them, and nobody else waits for it."""
import json
import time

import pytest

from support.gateway import SANITIZED
from support.traffic import Traffic
from test_framing import exchange, status

pytestmark = pytest.mark.asan

CALM = 4.0 if SANITIZED else 1.0  # seconds that another caller may wait at most


@pytest.fixture
def bystander(gateway, origin):
    """Another caller, who must not notice anything."""
    gateway.admin.service(url=origin.url, paths=["/bystander"])
    with Traffic(gateway, "/bystander") as traffic:
        yield traffic
    assert traffic.failures == []
    assert traffic.longest_call < CALM


def transformed(gateway, origin, config, **route):
    service = gateway.admin.service(url=origin.url, route={"paths": ["/t"], **route})
    gateway.admin.plugin("request-transformer", config, service=service)
    return service


# --- headers


@pytest.mark.parametrize("head", [
    b"X: " + b"a" * 65536 + b"\r\n", b"".join(b"X-%d: %s\r\n" % (n, b"b" * 100) for n in range(600)),
    b"Cookie: " + b"c" * 65536 + b"\r\n", b"a" * 65536 + b": x\r\n", b"X: a\r\n" * 20000,
], ids=["one", "many", "cookie", "name", "tiny"])
def test_64_kib_of_headers(gateway, origin, bystander, head):
    gateway.admin.service(url=origin.url, paths=["/"])
    text = exchange(gateway, b"GET / HTTP/1.1\r\nHost: h\r\n" + head + b"\r\n")
    assert status(text) in (400, 431, 494) and b"request_id" in text
    assert not any(b"aaaaaaaaaaaa" in r.raw_head for r in origin.requests)


@pytest.mark.parametrize("value", [b"\xff\xfe", b"\xc3(", b"\xed\xa0\x80", b"\x80" * 100], ids=range(4))
def test_invalid_utf8_passes_as_bytes(gateway, origin, value):
    """In headers, query and path it is the upstream's business; it must reach it unchanged, and no log may break."""
    gateway.admin.service(url=origin.url, paths=["/"])
    text = exchange(gateway, b"GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\nX-Raw: " + value + b"\r\n\r\n")
    assert status(text) == 200
    assert b"X-Raw: " + value in origin.requests[-1].raw_head
    escaped = "".join(f"%{b:02x}" for b in value)
    gateway.get(f"/?q={escaped}")
    assert origin.requests[-1].target.endswith(f"?q={escaped}")
    assert gateway.get(f"/{escaped}").status in (200, 404)


@pytest.mark.parametrize("line", [b"GET /\x00 HTTP/1.1", b"GET /%00 HTTP/1.1", b"GET / HTTP/1.1\r\nX: a\x00b", b"GET / HTTP/1.1\r\nX: a\rb",
                                  b"GET / HTTP/1.1\r\n X: folded", b"GET / HTTP/9.9", b"GET http:///x HTTP/1.1", b"\x16\x03\x01\x02\x00",
                                  b"PRI * HTTP/2.0"], ids=range(9))
def test_lines_that_are_no_http(gateway, origin, line):
    gateway.admin.service(url=origin.url, paths=["/"])
    text = exchange(gateway, line + b"\r\nHost: h\r\nConnection: close\r\n\r\n")
    for request in origin.requests:
        assert b"\x00" not in request.raw_head and b"\r" not in request.raw_head.replace(b"\r\n", b"")
    assert not text or text.startswith((b"HTTP/1.1 ", b"\x00", b"<html>")) or b"HTTP" in text
    assert gateway.get("/").status == 200


# --- paths


@pytest.mark.parametrize("path", [
    "/open/../closed", "/open/%2e%2e/closed", "/open/.%2e/closed", "/open/..%2fclosed", "/open/%2e%2e%2fclosed", "/open/..%5cclosed",
    "/open//../closed", "/open/./../closed", "/open/..;/closed", "/open/%252e%252e/closed", "/open/..%00/closed", "/open/x/../../closed",
    "/%2e%2e/closed", "/../closed", "/open/../../../../closed",
])
def test_no_path_leaves_its_route(gateway, origin, path):
    """What one route forwards never climbs above its service's base path as the upstream reads it."""
    gateway.admin.service(url=f"{origin.url}/public/", paths=["/open"])
    gateway.get(path)
    for request in origin.requests:
        target = request.target
        for _ in range(2):
            target = target.replace("%2e", ".").replace("%2E", ".")  # an encoded slash stays one, as in Kong
        depth = 0
        for segment in target.strip("/").split("/")[1:]:
            depth += {"..": -1, ".": 0, "": 0}.get(segment, 1)
            assert depth >= 0, request.target
        assert request.target.startswith("/public")


# --- templates


EVIL = ["%0d%0aX-Evil:%201", "%0aX-Evil:%201", "%0dX-Evil:%201", "%00X-Evil", "%0d%0a%0d%0aGET%20/evil%20HTTP/1.1%0d%0a"]


def harmless(origin):
    for request in origin.requests:
        assert request.header("x-evil") is None
        assert len(request.line.split(" ")) == 3 and not request.target.startswith("/evil")
        assert b"\x00" not in request.raw_head
        assert b"\r" not in request.raw_head.replace(b"\r\n", b"") and b"\n" not in request.raw_head.replace(b"\r\n", b"")


@pytest.mark.parametrize("evil", EVIL, ids=range(5))
@pytest.mark.parametrize("source", ["query", "capture"])
@pytest.mark.parametrize("place", ["add", "replace", "append"])
def test_no_template_breaks_out_of_its_line(gateway, origin, source, place, evil):
    value = {"query": "$(query_params.v)", "capture": "$(uri_captures.v)"}[source]
    entries = [f"x-copy:{value}"]
    transformed(gateway, origin, {place: {"headers": entries, "querystring": entries}},
                paths=[r"~/t/(?<v>[^?]*)$"], strip_path=False)
    for path in (f"/t/{evil}?v={evil}", f"/t/x?v=a{evil}&x-copy=1"):
        reply = gateway.get(path, {"x-copy": "old"})
        assert reply.status in (200, 400, 404, 500)
    harmless(origin)
    origin.requests.clear()
    assert gateway.get("/t/plain?v=plain").status == 200
    assert len(origin.requests) == 1


@pytest.mark.parametrize("evil", EVIL, ids=range(5))
def test_no_path_template_breaks_out_of_the_request_line(gateway, origin, evil):
    transformed(gateway, origin, {"replace": {"uri": "/new/$(query_params.v)/$(uri_captures.v)"}}, paths=[r"~/t/(?<v>[^?]*)$"])
    gateway.get(f"/t/a?v={evil}")
    gateway.get(f"/t/{evil}?v=b")
    harmless(origin)
    for request in origin.requests:
        assert len(request.line.split(" ")) == 3


def test_bodies_with_line_ends_stay_bodies(gateway, origin):
    transformed(gateway, origin, {"add": {"body": ["b:1"], "headers": ["x-a:1"]}, "rename": {"body": ["v:X-Evil"]}})
    gateway.post("/t", {"v": "a\r\nX-Evil: 1\r\n\r\nGET /evil HTTP/1.1"})
    gateway.post("/t", "v=a%0d%0aX-Evil:%201", {"Content-Type": "application/x-www-form-urlencoded"})
    harmless(origin)
    assert json.loads(origin.requests[0].body)["X-Evil"].startswith("a\r\n")


@pytest.mark.parametrize("template", [
    "$((function() while true do end end)())", "$((function() local function f() return f() end return f() end)())",
    "$((function() local t = {} for i = 1, 1e9 do t[i] = i end end)())", "$(('x'):rep(1e9))",
    "$(('a'):rep(30):find(('a?'):rep(30) .. ('a'):rep(30)))", "$((function() local s = 'x' while true do s = s .. s end end)())",
    "$(string.format('%999999999d', 1))", "$((function() local function f() return 1 + f() end return f() end)())",
    "$((function() return pcall(function() while true do end end) end)())",
], ids=["loop", "tail calls", "table", "rep", "pattern", "doubling", "width", "depth", "pcall"])
def test_endless_templates_end(gateway, origin, bystander, template):
    transformed(gateway, origin, {"add": {"headers": [f"x-t:{template}"]}})
    started = time.monotonic()
    for _ in range(5):
        assert gateway.get("/t").status == 500
    assert time.monotonic() - started < 2 * CALM


# --- regexes


@pytest.mark.parametrize("regex, path", [
    (r"~/r/(a+)+$", "/r/" + "a" * 5000 + "!"), (r"~/r/(a|aa)+$", "/r/" + "a" * 5000 + "!"),
    (r"~/r/(.*)*x$", "/r/" + "y" * 5000), (r"~/r/(\w+\s?)*$", "/r/" + "w" * 5000 + "!"),
    (r"~/r/((a{1,100}){1,100})$", "/r/" + "a" * 5000 + "!"), (r"~/r/(?:.*a){20}$", "/r/" + "a" * 100 + "b" * 3000),
], ids=range(6))
def test_catastrophic_paths(gateway, origin, bystander, regex, path):
    reply = gateway.admin.post("/services", {"url": origin.url})
    made = gateway.admin.post(f"/services/{reply.json()['id']}/routes", {"paths": [regex]})
    assert made.status in (201, 400), made.body
    started = time.monotonic()
    for _ in range(5):
        assert gateway.get(path).status == 404
    assert time.monotonic() - started < 2 * CALM


def test_catastrophic_header_regexes(gateway, origin, bystander):
    made = gateway.admin.post("/services", {"url": origin.url})
    gateway.admin.post(f"/services/{made.json()['id']}/routes", {"paths": ["/h"], "headers": {"x-h": ["~*^(a+)+$"]}})
    started = time.monotonic()
    for _ in range(5):
        assert gateway.get("/h", {"x-h": "a" * 5000 + "!"}).status == 404
    assert time.monotonic() - started < 2 * CALM


def test_a_regex_that_is_too_large_is_refused(gateway):
    for path in ("~/" + "(" * 5000 + ")" * 5000, "~/" + "(a{1,1000}){1,1000}" * 50, "~/" + "a|" * 200_000 + "b"):
        reply = gateway.admin.post("/routes", {"paths": [path]})
        assert reply.status == 400 and "paths" in str(reply.body), (reply.status, str(reply.body)[:200])


# --- bodies


def test_deep_and_odd_bodies_for_plugins(gateway, origin, bystander):
    transformed(gateway, origin, {"add": {"body": ["b:1"]}})
    for body in ("[" * 100_000, '{"a":' * 50_000, '{"a":1e999999}', '"\\ud800"', "{}" * 1000, "\x00", '{"a":"' + "x" * 1_000_000):
        assert gateway.post("/t", body, {"Content-Type": "application/json"}).status in (200, 400)
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for body in ("&" * 200_000, "a=" * 100_000, "%" * 100_000, "a[b]" * 50_000 + "=1", "&".join(f"k{n}=1" for n in range(50_000))):
        assert gateway.post("/t", body, form).status in (200, 400)
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    for body in ("--b\r\n" * 50_000, "--b\r\nContent-Disposition: form-data; name=\"" + "n" * 100_000, "--b--", "--" * 100_000):
        assert gateway.post("/t", body, multipart).status in (200, 400)
