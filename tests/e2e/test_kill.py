"""Death in the middle of many writes, of everything at once, and of the supervisor; and a bulk load under traffic."""
import concurrent.futures
import contextlib
import fcntl
import json
import os
import signal
import sqlite3
import threading
import time

import pytest

from support.gateway import wait_until
from support.traffic import Traffic


def gone(pid):
    try:
        return open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):
        return True


def family(gateway):
    pids = [gateway.process.pid]
    for pid in gateway.children():
        pids += [pid, *gateway.children(pid)]
    return pids


def feed(gateway):
    """The clock and the rows of the change feed, read beside the running node."""
    with sqlite3.connect(f"file:{gateway.prefix}/data/turnpike.db?mode=ro", uri=True) as db:
        tables = {name for name, in db.execute("select name from sqlite_master where type = 'table'")}
        outbox = next(t for t in tables if "outbox" in t or t == "feed" or "changes" in t)
        clock, = db.execute("select seq from feed_clock").fetchone()
        return clock, [seq for seq, in db.execute(f"select seq from {outbox} order by seq")]


def test_control_is_killed_amid_two_hundred_parallel_writes(own_gateway, origin):
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, paths=["/"])
    gateway.admin.plugin("key-auth", service=service)
    gateway.admin.consumer("owner")
    answered = []

    def write(n):
        try:
            reply = gateway.admin.post("/consumers/owner/key-auth", {"key": f"key-{n}"})
        except (OSError, EOFError):
            return
        assert reply.status in (201, 502, 503), reply.body
        if reply.status == 201:
            answered.append(n)
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        writes = [pool.submit(write, n) for n in range(200)]
        wait_until(lambda: len(answered) >= 40, "some are written")
        os.kill(gateway.pid_of("control"), signal.SIGKILL)
        for future in writes:
            future.result()
    wait_until(lambda: gateway.admin.get("/services").status == 200, "the Admin API is back")
    gateway.admin.create("/consumers", username="last")  # answers when the node serves all that is before it
    for n in answered:
        assert gateway.admin.get(f"/key-auths/key-{n}").status == 200
        assert gateway.get("/", {"apikey": f"key-{n}"}).status == 200
    clock, rows = feed(gateway)
    assert rows == list(range(rows[0], clock + 1)), "the feed has no gap"
    assert gateway.admin.get("/status").json()["turnpike"]["read_model"]["position"] == clock


@pytest.mark.parametrize("who", ["supervisor", "all"])
def test_after_a_kill_a_new_start_takes_over(own_gateway, origin, who):
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, paths=["/counted"])
    gateway.admin.plugin("rate-limiting", {"month": 5}, service=service)
    assert [gateway.get("/counted").status for _ in range(3)] == [200] * 3
    pids = family(gateway)
    for pid in pids if who == "all" else pids[:1]:
        with contextlib.suppress(ProcessLookupError):  # children follow their parents
            os.kill(pid, signal.SIGKILL)
    gateway.process.wait(5)
    gateway.start()
    assert [gateway.get("/counted").status for _ in range(3)] == [200, 200, 429]  # counted through it all
    gateway.admin.service(url=origin.url, paths=["/new"])
    assert gateway.get("/new").status == 200
    wait_until(lambda: all(gone(pid) for pid in pids), "nothing of the old instance is left")


@pytest.mark.slow
def test_a_hundred_thousand_keys_are_loaded_under_traffic(own_gateway, origin, tmp_path):
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, paths=["/"])
    gateway.admin.plugin("key-auth", service=service)
    gateway.admin.consumer("before", "key-before")
    count, path = 100_000, tmp_path / "keys.jsonl"
    with path.open("w") as out:
        for n in range(1000):
            out.write(json.dumps({"consumers": {"id": f"00000000-0000-4000-8000-{n:012d}", "username": f"u{n}"}}) + "\n")
        for n in range(count):
            out.write(json.dumps({"keyauth_credentials": {
                "id": f"10000000-0000-4000-8000-{n:012d}", "key": f"bulk-{n}",
                "consumer": {"id": f"00000000-0000-4000-8000-{n % 1000:012d}"}}}) + "\n")
    with Traffic(gateway, "/", {"apikey": "key-before"}) as traffic:
        done = gateway.run("config", "import", str(path))
        assert done.returncode == 0, done.stderr
        for n in (0, 1, count // 2, count - 1):  # at once
            assert gateway.get("/", {"apikey": f"bulk-{n}"}).status == 200
    assert traffic.failures == [] and traffic.longest_call < 1.0
    again = gateway.run("config", "import", str(path))
    assert again.returncode == 0, again.stderr
    assert gateway.get("/", {"apikey": "bulk-7"}).status == 200
    consumers = gateway.admin.get("/consumers?size=1000").json()["data"]
    assert len(consumers) == 1000  # a full page, and one more behind it: none twice
    # a wrong line far inside is named, and nothing of the file counts
    with path.open("w") as out:
        for n in range(5000):
            out.write(json.dumps({"consumers": {"username": f"new-{n}"}}) + "\n")
        out.write('{"consumers": {"username": 5}}\n')
    wrong = gateway.run("config", "import", str(path))
    assert wrong.returncode == 1 and "line 5001" in wrong.stderr and "username" in wrong.stderr
    assert gateway.admin.get("/consumers/new-0").status == 404


def test_stopping_amid_writes_loses_none_that_was_answered(own_gateway):
    gateway = own_gateway()
    answered, ended = [], threading.Event()

    def writer(w):
        n = 0
        while not ended.is_set():
            n += 1
            try:
                if gateway.admin.post("/consumers", {"username": f"{w}-{n}"}).status == 201:
                    answered.append(f"{w}-{n}")
            except (OSError, EOFError):
                time.sleep(0.01)
    threads = [threading.Thread(target=writer, args=(w,)) for w in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(0.5)
    gateway.process.terminate()
    gateway.process.wait(20)
    ended.set()
    for thread in threads:
        thread.join()
    gateway.start()
    assert len(answered) > 20
    for name in answered[-50:] + answered[:50]:
        assert gateway.admin.get(f"/consumers/{name}").status == 200


def test_control_that_dies_while_nginx_starts_brings_no_second_nginx(own_gateway):
    gateway = own_gateway()  # leaves a read model, from which nginx may start without control
    gateway.process.terminate()
    gateway.process.wait(20)
    slow = gateway.prefix / "slow-nginx"
    slow.write_text('#!/bin/sh\nsleep 3\nexec /usr/sbin/nginx "$@"\n')
    slow.chmod(0o755)
    gateway.settings["nginx_binary"] = str(slow)
    gateway.wait = False
    with open(gateway.prefix / "run/control.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # control waits for it, not ready
        gateway.start()
        wait_until(lambda: gateway.pid_of("control"), "control starts")
        time.sleep(0.2)
        os.kill(gateway.pid_of("control"), signal.SIGKILL)
        time.sleep(0.3)
    wait_until(gateway.is_serving, "the gateway serves", 20)
    time.sleep(0.5)
    children = gateway.children()
    assert len(children) == 2, children  # control and one nginx


def test_a_reload_with_another_size_of_the_counters_is_refused_with_the_way_out(own_gateway):
    gateway = own_gateway(settings={"nginx_worker_processes": "1"})
    (gateway.prefix / "turnpike.conf").write_text("quota_addresses = 131072\n")
    refused = gateway.run("reload")
    assert refused.returncode == 1 and "turnpike restart" in refused.stderr, refused.stderr
    assert gateway.is_serving()
