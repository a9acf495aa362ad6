"""The configuration changes while traffic flows: what was answered is served, and nobody else notices."""
import concurrent.futures
import contextlib
import threading

import pytest

from support.traffic import Traffic

pytestmark = pytest.mark.asan


def keyed(gateway, origin, path="/", **config):
    """A route that wants a key."""
    service = gateway.admin.service(url=origin.url, paths=[path])
    service["key-auth"] = gateway.admin.plugin("key-auth", config, service=service)
    return service


def patch(gateway, path, /, **fields):
    reply = gateway.admin.patch(path, fields)
    assert reply.status == 200, (path, fields, reply.body)
    assert reply.header("x-turnpike-served") is None
    return reply.json()


def delete(gateway, path):
    reply = gateway.admin.delete(path)
    assert reply.status == 204, (path, reply.body)
    assert reply.header("x-turnpike-served") is None


ROUNDS = range(10)


# --- each kind of write is served when it is answered


def test_services_by_every_field_that_shows(gateway, origin):
    service = gateway.admin.service(url=origin.url, name="s", paths=["/"])
    for n in ROUNDS:
        patch(gateway, "/services/s", path=f"/base{n}")
        gateway.get("/")
        assert origin.requests[-1].target == f"/base{n}"
        patch(gateway, f"/services/{service['id']}", enabled=False)
        assert gateway.get("/").status == 404
        patch(gateway, f"/services/{service['id']}", enabled=True)
        assert gateway.get("/").status == 200


def test_routes_by_every_field_that_shows(gateway, origin):
    service = gateway.admin.service(url=origin.url, paths=["/a"])
    route = f"/routes/{service['route']['id']}"
    for n in ROUNDS:
        patch(gateway, route, paths=[f"/p{n}"])
        assert (gateway.get(f"/p{n}").status, gateway.get(f"/p{n - 1}").status) == (200, 404)
        patch(gateway, route, methods=["POST"])
        assert (gateway.get(f"/p{n}").status, gateway.post(f"/p{n}", "").status) == (404, 200)
        patch(gateway, route, methods=None, hosts=[f"h{n}.test"])
        assert (gateway.get(f"/p{n}").status, gateway.get(f"/p{n}", {"Host": f"h{n}.test"}).status) == (404, 200)
        patch(gateway, route, hosts=None, strip_path=False)
        gateway.get(f"/p{n}/x")
        assert origin.requests[-1].target == f"/p{n}/x"
        patch(gateway, route, strip_path=True)


def test_put_makes_and_replaces(gateway, origin):
    service = gateway.admin.service(url=origin.url)
    for n in ROUNDS:
        reply = gateway.admin.put("/routes/r", {"paths": [f"/put{n}"], "service": {"id": service["id"]}})
        assert reply.status == 200 and reply.header("x-turnpike-served") is None
        assert gateway.get(f"/put{n}").status == 200


def test_plugins_switched_on_and_off(gateway, origin):
    service = keyed(gateway, origin)
    plugin = f"/plugins/{service['key-auth']['id']}"
    for _ in ROUNDS:
        patch(gateway, plugin, enabled=False)
        assert gateway.get("/").status == 200
        patch(gateway, plugin, enabled=True)
        assert gateway.get("/").status == 401
    delete(gateway, plugin)
    assert gateway.get("/").status == 200


@pytest.mark.parametrize("scope", ["global", "service", "route"])
def test_plugins_of_each_scope_come_and_go(gateway, origin, scope):
    service = gateway.admin.service(url=origin.url, paths=["/"])
    where = {"service": {"service": service}, "route": {"route": service["route"]}, "global": {}}[scope]
    for n in ROUNDS:
        plugin = gateway.admin.plugin("request-transformer", {"add": {"headers": [f"x-n:{n}"]}}, **where)
        gateway.get("/")
        assert origin.requests[-1].header("x-n") == str(n)
        patch(gateway, f"/plugins/{plugin['id']}", config={"add": {"headers": [f"x-n:again-{n}"]}})
        gateway.get("/")
        assert origin.requests[-1].header("x-n") == f"again-{n}"
        delete(gateway, f"/plugins/{plugin['id']}")
        gateway.get("/")
        assert origin.requests[-1].header("x-n") is None


def test_consumer_scoped_plugins_come_and_go(gateway, origin):
    keyed(gateway, origin)
    ann = gateway.admin.consumer("ann", "key-a")
    gateway.admin.consumer("bob", "key-b")
    for n in ROUNDS:
        plugin = gateway.admin.plugin("request-transformer", {"add": {"headers": [f"x-n:{n}"]}}, consumer=ann)
        for key, expected in (("key-a", str(n)), ("key-b", None)):
            gateway.get("/", {"apikey": key})
            assert origin.requests[-1].header("x-n") == expected
        patch(gateway, f"/plugins/{plugin['id']}", enabled=False)
        gateway.get("/", {"apikey": "key-a"})
        assert origin.requests[-1].header("x-n") is None
        delete(gateway, f"/plugins/{plugin['id']}")


def test_a_key_is_changed(gateway, origin):
    keyed(gateway, origin)
    ann = gateway.admin.consumer("ann")
    credential = gateway.admin.create(f"/consumers/{ann['id']}/key-auth", key="key-0")
    for n in ROUNDS:
        patch(gateway, f"/consumers/ann/key-auth/{credential['id']}", key=f"key-{n + 1}")
        assert (gateway.get("/", {"apikey": f"key-{n + 1}"}).status, gateway.get("/", {"apikey": f"key-{n}"}).status) == (200, 401)


def test_a_consumer_is_renamed(gateway, origin):
    keyed(gateway, origin)
    ann = gateway.admin.consumer("name-0", "key")
    for n in ROUNDS:
        patch(gateway, f"/consumers/{ann['id']}", username=f"name-{n + 1}", custom_id=f"c-{n}")
        gateway.get("/", {"apikey": "key"})
        assert origin.requests[-1].header("x-consumer-username") == f"name-{n + 1}"
        assert origin.requests[-1].header("x-consumer-custom-id") == f"c-{n}"


def test_the_anonymous_consumer_is_found_by_its_present_name(gateway, origin):
    keyed(gateway, origin, anonymous="guest")
    assert gateway.get("/").status == 500  # no such consumer
    guest = gateway.admin.consumer("someone")
    for _ in ROUNDS:
        patch(gateway, f"/consumers/{guest['id']}", username="guest")
        assert gateway.get("/").status == 200
        assert origin.requests[-1].header("x-consumer-username") == "guest"
        patch(gateway, f"/consumers/{guest['id']}", username="someone")
        assert gateway.get("/").status == 500
    delete(gateway, f"/consumers/{guest['id']}")
    assert gateway.get("/").status == 500


def test_the_order_of_plugins_changes(gateway, origin):
    """request-transformer brings the key: it must run before key-auth to let callers in."""
    service = keyed(gateway, origin)
    gateway.admin.consumer("ann", "the-key")
    plugin = gateway.admin.plugin("request-transformer", {"add": {"headers": ["apikey:the-key"]}}, service=service)
    for _ in ROUNDS:
        assert gateway.get("/").status == 401
        patch(gateway, f"/plugins/{plugin['id']}", ordering={"before": {"access": ["key-auth"]}})
        assert gateway.get("/").status == 200
        patch(gateway, f"/plugins/{plugin['id']}", ordering=None)


def test_deleting_a_consumer_takes_its_keys_and_plugins_along(gateway, origin):
    keyed(gateway, origin)
    for n in ROUNDS:
        consumer = gateway.admin.consumer(f"c{n}", f"key-{n}")
        plugin = gateway.admin.plugin("request-transformer", consumer=consumer)
        assert gateway.get("/", {"apikey": f"key-{n}"}).status == 200
        delete(gateway, f"/consumers/c{n}")
        assert gateway.get("/", {"apikey": f"key-{n}"}).status == 401
        assert gateway.admin.get(f"/plugins/{plugin['id']}").status == 404


# --- many at once


def test_writers_side_by_side_each_read_their_own(gateway, origin):
    """Eight writers make routes and keys at once; each sees its own at once, and a ninth caller notices nothing."""
    keyed(gateway, origin, "/keyed")
    service = gateway.admin.service(url=origin.url, paths=["/quiet"])
    wrong = []

    def writer(w):
        for n in range(6):
            route = gateway.admin.create(f"/services/{service['id']}/routes", paths=[f"/w{w}-{n}"])
            consumer = gateway.admin.consumer(f"w{w}-{n}", f"key-{w}-{n}")
            seen = [gateway.get(f"/w{w}-{n}").status, gateway.get("/keyed", {"apikey": f"key-{w}-{n}"}).status]
            delete(gateway, f"/consumers/{consumer['id']}")
            delete(gateway, f"/routes/{route['id']}")
            seen += [gateway.get(f"/w{w}-{n}").status, gateway.get("/keyed", {"apikey": f"key-{w}-{n}"}).status]
            if seen != [200, 200, 404, 401]:
                wrong.append((w, n, seen))
    with Traffic(gateway, "/quiet") as traffic, concurrent.futures.ThreadPoolExecutor(8) as pool:
        list(pool.map(writer, range(8)))
    assert wrong == []
    assert traffic.failures == [] and traffic.ok > 20


def test_callers_see_the_old_or_the_new_but_nothing_else(gateway, origin):
    """A route moves between two services, its plugin is edited, the service is switched: never a 5xx."""
    one = gateway.admin.service(url=f"{origin.url}/one", paths=["/"])
    two = gateway.admin.service(url=f"{origin.url}/two")
    plugin = gateway.admin.plugin("request-transformer", {"add": {"headers": ["x-a:1"]}}, service=one)
    with contextlib.ExitStack() as stack:
        callers = [stack.enter_context(Traffic(gateway, "/", good=(200, 404))) for _ in range(4)]
        for n in range(15):
            patch(gateway, f"/routes/{one['route']['id']}", service={"id": (two, one)[n % 2]["id"]})
            patch(gateway, f"/plugins/{plugin['id']}", config={"add": {"headers": [f"x-a:{n}"]}}, enabled=bool(n % 3))
            patch(gateway, f"/services/{one['id']}", enabled=n % 5 != 0)
    for caller in callers:
        assert caller.failures == [] and caller.ok > 10


def test_a_request_keeps_the_plan_it_started_with(gateway, origin):
    """Everything that a waiting request uses is deleted; it is answered all the same, and then all is gone."""
    started, go = threading.Event(), threading.Event()

    def slow(request, connection):
        started.set()
        go.wait(10)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
    origin.script = slow
    service = keyed(gateway, origin)
    ann = gateway.admin.consumer("ann", "key")
    gateway.admin.plugin("rate-limiting", {"hour": 10}, consumer=ann)
    answers = []
    caller = threading.Thread(target=lambda: answers.append(gateway.get("/", {"apikey": "key"})))
    caller.start()
    assert started.wait(5)
    delete(gateway, f"/consumers/{ann['id']}")
    delete(gateway, f"/plugins/{service['key-auth']['id']}")
    delete(gateway, f"/routes/{service['route']['id']}")
    delete(gateway, f"/services/{service['id']}")
    for n in range(5):
        gateway.admin.service(url=origin.url, paths=[f"/other{n}"])
    go.set()
    caller.join(10)
    assert (answers[0].status, answers[0].raw) == (200, b"done")
    assert answers[0].header("x-ratelimit-limit-hour") == "10"
    assert gateway.get("/").status == 404
