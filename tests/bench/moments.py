"""Times and sizes that are no rates: from write to served, start-up, import, memory."""
import os
import pathlib
import statistics
import time

from bench.scenarios import Scenario
from support.gateway import wait_until


def private_kib(pid):
    """Memory of its own (not shared) of a process."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(("Private_Clean", "Private_Dirty")))


def milliseconds(function, *arguments):
    start = time.perf_counter()
    function(*arguments)
    return (time.perf_counter() - start) * 1000


def write_to_served(gateway, writes=200):
    """A key is created and used at once: the time until the answer, and how many were not served at once."""
    consumer = gateway.admin.create("/consumers", username="moment")
    key_ms, route_ms, late = [], [], 0
    service = gateway.admin.get("/services").json()["data"][0]
    for n in range(writes):
        key_ms.append(milliseconds(gateway.admin.create, f"/consumers/{consumer['id']}/key-auth"))
        key = gateway.admin.get(f"/consumers/{consumer['id']}/key-auth?size=1").json()["data"][0]["key"]
        late += gateway.get("/weather", {"apikey": key}).status != 200
        if n % 10 == 0:
            route_ms.append(milliseconds(lambda: gateway.admin.create(f"/services/{service['id']}/routes",
                                                                      paths=[f"/moment-{n}"])))
            late += gateway.get(f"/moment-{n}", {"apikey": key}).status == 404
    return key_ms, route_ms, late


def p(values, percent):
    return sorted(values)[min(len(values) - 1, int(len(values) * percent / 100))]


def run(stage, keys, progress):
    progress("moments: write to served, start-up, memory")
    scenario = Scenario("moments", True, keys, "local")
    with stage.gateway(scenario) as target:
        gateway = target.gateway
        key_ms, route_ms, late = write_to_served(gateway)
        worker = private_kib(gateway.pid_of("worker"))
        node = worker + sum(private_kib(pid) for pid in
                            [gateway.process.pid, gateway.pid_of("control"), gateway.pid_of("master")])
        database = gateway.prefix / "data/turnpike.db"
        gateway.process.terminate()
        gateway.process.wait(30)
        hidden = database.with_suffix(".away")
        os.rename(database, hidden)  # the store is not there
        database.mkdir()             # and cannot be made anew
        start = time.perf_counter()
        gateway.wait = False
        gateway.start()
        key = {"apikey": "key-0000000"}

        def served():
            try:
                return gateway.get("/weather", key).status == 200
            except OSError:
                return False
        wait_until(served, "the first proxied answer", 30)
        started = time.perf_counter() - start
    print(f"key created → served:    p50 {statistics.median(key_ms):.1f} ms, p99 {p(key_ms, 99):.1f} ms; "
          f"{late} of {len(key_ms) + len(route_ms)} writes were not served when the answer came")
    print(f"route created → served:  p50 {statistics.median(route_ms):.1f} ms, p99 {p(route_ms, 99):.1f} ms")
    print(f"start → first answer, {keys:,} keys, store away: {started:.2f} s")
    print(f"private memory, {keys:,} keys: worker {worker / 1024:.1f} MB, whole node {node / 1024:.1f} MB")
