"""key-auth through the whole gateway: a key works at once, stops at once, and is seen nowhere."""
import socket
import time

import time

import pytest

from support.gateway import free_port, wait_until
from support.origins import answer
from support.wire import Reader, read_answer

pytestmark = pytest.mark.asan

KEY = "sesame-open-0123456789"


def protected(gateway, url, config=None, **route):
    service = gateway.admin.service(url=url, route={"paths": ["/"], **route})
    gateway.admin.plugin("key-auth", config, service=service)
    return service


@pytest.mark.parametrize("path, headers", [("/", {"apikey": KEY}), (f"/?apikey={KEY}", {}), ("/", {"ApiKey": KEY})])
def test_the_key_opens_from_header_and_query(gateway, origin, path, headers):
    protected(gateway, origin.url)
    gateway.admin.consumer("ann", KEY)
    assert gateway.get(path, headers).status == 200
    request = origin.requests[0]
    assert request.header("x-consumer-username") == "ann"
    assert len(request.header("x-credential-identifier")) == 36


def test_refusals_say_why_and_in_the_callers_language(gateway, origin):
    protected(gateway, origin.url, {"realm": "weather"})
    reply = gateway.get("/")
    assert (reply.status, reply.json()["message"]) == (401, "No API key found in request")
    assert reply.header("www-authenticate") == 'Key realm="weather"'
    reply = gateway.get("/", {"apikey": "wrong", "Accept": "text/html"})
    assert reply.status == 401 and b"<p>Unauthorized.</p>" in reply.raw
    assert gateway.get("/?apikey=a&apikey=b").json()["message"] == "Duplicate API key found"
    assert origin.requests == []


def test_a_new_key_works_at_once_and_a_revoked_one_stops_at_once(gateway, origin):
    protected(gateway, origin.url)
    consumer = gateway.admin.consumer("ann")
    for n in range(20):
        credential = gateway.admin.create(f"/consumers/{consumer['id']}/key-auth", key=f"key-{n}")
        assert gateway.get("/", {"apikey": f"key-{n}"}).status == 200
        gateway.admin.delete(f"/key-auths/{credential['id']}")
        assert gateway.get("/", {"apikey": f"key-{n}"}).status == 401


def test_deleting_a_consumer_revokes_its_keys(gateway, origin):
    protected(gateway, origin.url)
    consumer = gateway.admin.consumer("ann", KEY)
    assert gateway.get("/", {"apikey": KEY}).status == 200
    gateway.admin.delete(f"/consumers/{consumer['id']}")
    assert gateway.get("/", {"apikey": KEY}).status == 401


def test_a_key_with_a_ttl_expires(gateway, origin):
    protected(gateway, origin.url)
    consumer = gateway.admin.consumer("ann")
    start = time.monotonic()
    gateway.admin.create(f"/consumers/{consumer['id']}/key-auth", key=KEY, ttl=2)
    status = gateway.get("/", {"apikey": KEY}).status
    assert status == 200 or time.monotonic() - start > 1
    wait_until(lambda: gateway.get("/", {"apikey": KEY}).status == 401, "the key has expired", 4)
    assert time.monotonic() - start > 1


def test_hidden_keys_do_not_reach_the_upstream(gateway, origin):
    protected(gateway, origin.url, {"hide_credentials": True})
    gateway.admin.consumer("ann", KEY)
    gateway.get(f"/x?a=1&apikey={KEY}&b=2")
    gateway.get("/", {"apikey": KEY})
    assert origin.requests[0].target == "/x?a=1&b=2"
    for request in origin.requests:
        assert KEY.encode() not in request.raw_head


def test_the_key_in_a_body(gateway, origin):
    protected(gateway, origin.url, {"key_in_body": True, "hide_credentials": True})
    gateway.admin.consumer("ann", KEY)
    assert gateway.post("/", {"apikey": KEY, "rest": 1}).status == 200
    assert KEY.encode() not in origin.requests[0].body and b"rest" in origin.requests[0].body


def test_anonymous_callers_pass_as_the_anonymous_consumer(gateway, origin):
    gateway.admin.consumer("nobody")
    protected(gateway, origin.url, {"anonymous": "nobody"})
    assert gateway.get("/", {"X-Consumer-Username": "forged", "X-Credential-Identifier": "forged"}).status == 200
    request = origin.requests[0]
    assert request.header("x-anonymous-consumer") == "true"
    assert request.all("x-consumer-username") == ["nobody"]
    assert request.header("x-credential-identifier") is None


# --- the key in the path


PATH = r"~/forecast/(?<key>[^/,]+)/(?<place>.+)$"


def by_path(gateway, url, hide=True):
    service = gateway.admin.service(url=url, route={"paths": [PATH], "strip_path": False})
    gateway.admin.plugin("key-auth", {"key_in_path": "key", "hide_credentials": hide}, service=service)
    gateway.admin.consumer("ann", KEY)


def test_the_key_in_the_path_opens_and_is_cut_out(gateway, origin):
    by_path(gateway, origin.url)
    assert gateway.get(f"/forecast/{KEY}/45.42,-75.69").status == 200
    assert gateway.get("/forecast/wrong/45.42,-75.69").status == 401
    assert [r.target for r in origin.requests] == ["/forecast/45.42,-75.69"]
    assert KEY.encode() not in origin.requests[0].raw_head


def test_a_shown_key_stays_in_the_path_but_not_in_forwarded_headers(gateway, origin):
    by_path(gateway, origin.url, hide=False)
    assert gateway.get(f"/forecast/{KEY}/x").status == 200
    request = origin.requests[0]
    assert KEY in request.target
    assert not any(KEY in value for name, value in request.headers if name.lower().startswith("x-forwarded"))


def raw(gateway, data, read=True):
    """Bytes that no client library would send; the status, 0 when there is no answer."""
    with socket.create_connection(("127.0.0.1", gateway.proxy_port), 5) as sock:
        sock.sendall(data)
        return read_answer(Reader(sock), "GET").status if read else None


def ordinary_calls(gateway):
    """The key in every place where it may be, right and wrong."""
    for key in (KEY, "x" + KEY):
        referer = {"Referer": f"http://a.test/forecast/{key}/1,2?apikey={key}"}
        yield gateway.get(f"/forecast/{key}/45.42,-75.69?x=1", referer)
        yield gateway.get("/named", {"apikey": key, **referer})
        yield gateway.get(f"/named?a=1&%61pikey={key}&b=2", referer)
        yield gateway.get(f"/named?APIKEY={key}")
        yield gateway.get(f"/named?api%5Fkey={key}")
        yield gateway.post("/named", {"apikey": key})
        yield gateway.post("/named", f"apikey={key}", {"Content-Type": "application/x-www-form-urlencoded"})


def broken_calls(gateway):
    """What nginx refuses, or gives up, before the gateway sees it."""
    head = f"GET /named?apikey={KEY} HTTP/1.1\r\nHost: a\r\nReferer: http://a/?apikey={KEY}\r\n".encode()
    assert raw(gateway, f"GET /named?apikey={KEY} HTTP/9.9\r\n\r\n".encode()) in (0, 400, 505)
    assert raw(gateway, f"GE;T /named?apikey={KEY} HTTP/1.1\r\n\r\n".encode()) == 400
    assert raw(gateway, f"GET /named?apikey={KEY} HTTP/1.1\r\n\r\n".encode()) == 400  # no Host
    assert raw(gateway, head + f"apikey: {KEY}\0\r\n\r\n".encode()) == 400
    assert raw(gateway, head + f"api.key: {KEY}\r\n\r\n".encode()) in (200, 401, 502)
    assert raw(gateway, head + f"apikey: {KEY}".encode() + b"x" * 40000 + b"\r\n\r\n") == 400
    assert raw(gateway, head + b"Content-Length: nine\r\n\r\n") == 400
    assert raw(gateway, head + b"Transfer-Encoding: gzip\r\n\r\n") in (400, 501)
    assert raw(gateway, head + b"Transfer-Encoding: chunked\r\n\r\nnine\r\n") == 400
    assert raw(gateway, f"GET /named?apikey={KEY}{'x' * 40000} HTTP/1.1\r\n\r\n".encode()) == 414
    assert raw(gateway, f"TRACE /named?apikey={KEY} HTTP/1.1\r\nHost: a\r\n\r\n".encode()) == 405
    assert gateway.get(f"/nowhere?apikey={KEY}&k={KEY}").status == 404
    raw(gateway, head, read=False)
    raw(gateway, head + b"Content-Length: 9\r\n\r\n123", read=False)
    raw(gateway, head + b"\r\n", read=False)


@pytest.mark.parametrize("log_level", ["info", "debug"])
def test_no_file_of_the_instance_ever_holds_the_key(own_gateway, origin, log_level):
    """Also while the upstream is down, when nginx writes the request and the upstream's URL into its error log."""
    gateway = own_gateway(settings={"log_level": log_level})
    service = gateway.admin.service(url=f"http://127.0.0.1:{free_port()}", retries=1,
                                    route={"paths": [PATH], "strip_path": False})
    named = gateway.admin.create(f"/services/{service['id']}/routes", paths=["/named"])
    gateway.admin.plugin("key-auth", {"key_in_path": "key"}, service=service)
    gateway.admin.plugin("key-auth", {"key_in_body": True, "key_names": ["apikey", "api_key"]}, route=named)
    consumer = gateway.admin.create("/consumers", username="ann")
    gateway.admin.create(f"/consumers/{consumer['id']}/key-auth", key=KEY)
    assert {a.status for a in ordinary_calls(gateway)} == {401, 502}
    broken_calls(gateway)
    gateway.admin.patch(f"/services/{service['id']}", {"url": origin.url})
    origin.script = lambda request, connection: b"garbage\r\n\r\n"
    assert {a.status for a in ordinary_calls(gateway)} == {401, 502}
    origin.script = lambda request, connection: time.sleep(0.3) or False
    broken_calls(gateway)
    origin.script = answer()
    assert {a.status for a in ordinary_calls(gateway)} == {401, 200}
    gateway.process.terminate()
    gateway.process.wait(20)
    holders = [path for path in gateway.prefix.rglob("*") if path.is_file()
               and "data" not in path.relative_to(gateway.prefix).parts  # the source of truth keeps what Kong keeps
               and KEY.encode() in path.read_bytes()]
    assert holders == []


def test_a_key_is_masked_also_when_the_gate_answers_before_the_plugin(own_gateway, origin):
    """An http request for an https route is sent away before key-auth has its turn; the access log still tells no key."""
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, route={"paths": [PATH], "protocols": ["https"], "strip_path": False})
    gateway.admin.plugin("key-auth", {"key_in_path": "key"}, service=service)
    assert gateway.get(f"/forecast/{KEY}/1,2?apikey={KEY}").status == 426
    gateway.process.terminate()
    gateway.process.wait(20)
    logs = "".join(path.read_text() for path in (gateway.prefix / "logs").iterdir())
    assert "/forecast/******/1,2?apikey=******" in logs and KEY not in logs
