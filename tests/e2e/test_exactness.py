"""A limit of N lets exactly N calls pass, whatever happens to the processes that count."""
import calendar
import concurrent.futures
import contextlib
import os
import signal
import socket
import threading
import time

import pytest

from support.gateway import wait_until
from support.wire import Reader, read_answer


def calm(unit=60, room=8):
    """Not across the end of a minute."""
    if time.time() % unit > unit - room:
        time.sleep(unit + 0.1 - time.time() % unit)


def limited(gateway, url, config, **service):
    made = gateway.admin.service(url=url, paths=["/"], **service)
    gateway.admin.plugin("rate-limiting", config, service=made)
    return made


def statuses_of(gateway, count, meanwhile=None, threads=16):
    """The statuses of `count` calls from many callers at once; `meanwhile` runs beside them."""
    def one(_):
        try:
            return gateway.get("/", timeout=10).status
        except (OSError, EOFError):
            return 0
    side = threading.Thread(target=meanwhile) if meanwhile else None
    with concurrent.futures.ThreadPoolExecutor(threads) as pool:
        futures = pool.map(one, range(count))
        if side:
            side.start()
        found = list(futures)
    if side:
        side.join()
    return found


def test_reloads_in_the_middle_do_not_add_a_call(own_gateway, origin):
    gateway = own_gateway(settings={"nginx_worker_processes": "4"})
    limited(gateway, origin.url, {"year": 300})
    found = statuses_of(gateway, 1500, lambda: [gateway.run("reload") for _ in range(2)])
    assert found.count(200) == len(origin.requests) == 300
    assert set(found) == {200, 429}


def test_killed_workers_in_the_middle_do_not_add_a_call(own_gateway, origin):
    gateway = own_gateway(settings={"nginx_worker_processes": "4"})
    limited(gateway, origin.url, {"year": 300}, retries=0)

    def kill():
        for _ in range(4):
            time.sleep(0.05)
            if pid := gateway.pid_of("worker"):
                os.kill(pid, signal.SIGKILL)
    found = statuses_of(gateway, 1500, kill)
    # a call that a dying worker had counted may be lost to its caller, but none comes on top
    assert found.count(200) <= 300 and len(origin.requests) <= 300
    assert found.count(200) >= 300 - found.count(0)
    assert gateway.get("/").status == 429


def test_several_windows_are_decided_together(own_gateway, origin):
    calm()
    gateway = own_gateway(settings={"nginx_worker_processes": "4"})
    limited(gateway, origin.url, {"minute": 40, "hour": 100, "month": 1000})
    found = statuses_of(gateway, 400)
    assert found.count(200) == 40
    reply = gateway.get("/")
    assert [reply.header(f"x-ratelimit-remaining-{w}") for w in ("minute", "hour", "month")] == ["0", "60", "960"]


@pytest.mark.parametrize("window", ["month", "year"])
def test_long_windows_in_redis_are_the_calendars(gateway, origin, redis, window):
    limited(gateway, origin.url, {window: 3, "policy": "redis", "redis": {"host": "127.0.0.1", "port": redis.port}})
    seen = [gateway.get("/") for _ in range(4)]
    assert [r.status for r in seen] == [200, 200, 200, 429]
    now = time.gmtime()
    end = time.strptime(f"{now.tm_year + (window == 'year' or now.tm_mon == 12)}-"
                        f"{1 if window == 'year' else now.tm_mon % 12 + 1}", "%Y-%m")
    left = calendar.timegm(end) - time.time()
    assert abs(int(seen[-1].header("ratelimit-reset")) - left) < 5


def test_a_crowd_without_keys_does_not_push_out_a_customer(own_gateway, origin):
    """Ten thousand addresses, a table of a thousand: the customer's month stays."""
    gateway = own_gateway(settings={"nginx_worker_processes": "2", "trusted_ips": "0.0.0.0/0", "real_ip_header": "X-Forwarded-For",
                                    "quota_addresses": "1024", "quota_identities": "1024"})
    service = limited(gateway, origin.url, {"month": 3})
    gateway.admin.plugin("key-auth", {"anonymous": "guest"}, service=service)
    guest = gateway.admin.consumer("guest")
    gateway.admin.plugin("rate-limiting", {"month": 1, "limit_by": "ip"}, consumer=guest)
    gateway.admin.consumer("ann", "the-key")
    assert [gateway.get("/", {"apikey": "the-key"}).status for _ in range(2)] == [200, 200]

    def crowd(part):
        with socket.create_connection(("127.0.0.1", gateway.proxy_port), timeout=20) as sock:
            reader = Reader(sock)
            for start in range(part * 2500, (part + 1) * 2500, 50):
                sock.sendall(b"".join(b"GET / HTTP/1.1\r\nHost: h\r\nX-Forwarded-For: 10.%d.%d.%d\r\n\r\n"
                                      % (n >> 16, n >> 8 & 255, n & 255) for n in range(start, start + 50)))
                for _ in range(50):
                    assert read_answer(reader, "GET").status in (200, 429)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        list(pool.map(crowd, range(4)))
    assert [gateway.get("/", {"apikey": "the-key"}).status for _ in range(2)] == [200, 429]
    assert gateway.admin.get("/status").json()["turnpike"]["counters"]["evicted"] > 0  # it is told


def admin_answers(gateway):
    with contextlib.suppress(OSError):
        return gateway.admin.get("/status").status == 200
    return False


def test_counts_survive_everything_at_once(own_gateway, origin):
    gateway = own_gateway(settings={"nginx_worker_processes": "4"})
    limited(gateway, origin.url, {"year": 100})
    assert statuses_of(gateway, 60).count(200) == 60
    for pid in [gateway.process.pid, *gateway.children(), *gateway.children(gateway.pid_of("master"))]:
        with contextlib.suppress(ProcessLookupError):  # children follow their parents
            os.kill(pid, signal.SIGKILL)
    gateway.process.wait(5)
    gateway.wait = False  # what waits would ask, and be counted
    gateway.start()
    wait_until(lambda: admin_answers(gateway), "it serves again", 20)
    assert statuses_of(gateway, 120).count(200) == 40
