"""Processes die; traffic goes on, and nothing that was answered is lost."""
import os
import signal
import threading
import time

import pytest

from support.gateway import wait_until


class Traffic(threading.Thread):
    """Requests, one after the other, until told to stop; remembers what failed and the longest silence."""

    def __init__(self, gateway, path="/"):
        super().__init__(daemon=True)
        self.gateway, self.path = gateway, path
        self.ended = threading.Event()
        self.ok, self.failures, self.longest_gap = 0, [], 0.0

    def run(self):
        last = time.monotonic()
        while not self.ended.is_set():
            try:
                status = self.gateway.get(self.path, timeout=5).status
            except OSError as error:
                status = repr(error)
            if status == 200:
                now = time.monotonic()
                self.longest_gap = max(self.longest_gap, now - last)
                last = now
                self.ok += 1
            else:
                self.failures.append(status)
                time.sleep(0.005)

    def __enter__(self):
        self.start()
        time.sleep(0.3)
        return self

    def __exit__(self, *error):
        time.sleep(1.0)
        self.ended.set()
        self.join()


def dead(pid):
    try:
        return "Z" in open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1][:3]
    except (FileNotFoundError, ProcessLookupError):
        return True


def kill(gateway, what):
    pid = gateway.pid_of(what)
    assert pid, f"no {what}"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: dead(pid), f"{what} is dead")
    return pid


def test_control_dies_and_traffic_does_not_notice(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    with Traffic(gateway) as traffic:
        kill(gateway, "control")
        wait_until(lambda: gateway.pid_of("control"), "control is back")
        wait_until(lambda: gateway.admin.get("/services").status == 200, "the Admin API is back")
        gateway.admin.service(url=origin.url, paths=["/new"])
        assert gateway.get("/new").status == 200
    assert traffic.failures == [] and traffic.ok > 20


def test_the_admin_api_says_so_while_control_is_away(own_gateway):
    gateway = own_gateway()
    pid = gateway.pid_of("control")
    os.kill(pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)
    statuses = {gateway.admin.get("/services").status for _ in range(5)}
    assert statuses <= {200, 503}
    wait_until(lambda: gateway.admin.get("/services").status == 200, "the Admin API is back")


@pytest.mark.parametrize("what", ["worker", "master"])
def test_nginx_dies_and_is_back_within_a_second(own_gateway, origin, what):
    gateway = own_gateway(settings={"nginx_worker_processes": "2"})
    gateway.admin.service(url=origin.url, paths=["/"])
    with Traffic(gateway) as traffic:
        kill(gateway, what)
    assert traffic.longest_gap < 1.0
    assert gateway.get("/").status == 200


def test_what_was_answered_survives_any_death(own_gateway, origin):
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, paths=["/"])
    created = []
    for round_number, what in enumerate(["control", "worker", "master", "control"]):
        for n in range(10):
            answer = gateway.admin.post("/consumers", {"username": f"c-{round_number}-{n}"})
            if answer.status == 201:
                created.append(answer.json()["id"])
        kill(gateway, what)
        wait_until(lambda: gateway.is_serving(), "it serves again")
    assert len(created) >= 30
    for consumer in created:
        assert gateway.admin.get(f"/consumers/{consumer}").status == 200
    assert gateway.admin.get(f"/services/{service['id']}").status == 200


def test_a_write_is_served_when_it_is_answered(gateway, origin):
    service = gateway.admin.service(url=origin.url)
    for n in range(30):
        reply = gateway.admin.post(f"/services/{service['id']}/routes", {"paths": [f"/r{n}"]})
        assert reply.status == 201 and reply.header("x-turnpike-served") is None
        assert gateway.get(f"/r{n}").status == 200
        assert gateway.admin.delete(f"/routes/{reply.json()['id']}").status == 204
        assert gateway.get(f"/r{n}").status == 404


def test_sigterm_drains_and_leaves_nothing(own_gateway, origin):
    def slowly(request, connection):
        time.sleep(0.5)
        return b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ndone"
    origin.script = slowly
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    answers = []
    client = threading.Thread(target=lambda: answers.append(gateway.get("/")))
    client.start()
    wait_until(lambda: origin.requests, "the request is under way")
    family = {gateway.process.pid, *gateway.children(), gateway.pid_of("worker")}
    gateway.process.send_signal(signal.SIGTERM)
    gateway.process.wait(20)
    client.join()
    assert answers[0].status == 200 and answers[0].raw == b"done"
    wait_until(lambda: all(dead(pid) for pid in family), "every process has gone")


def test_restart_keeps_everything(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    assert gateway.get("/").status == 200
    gateway.process.terminate()
    gateway.process.wait(20)
    gateway.start()
    assert gateway.get("/").status == 200


def test_reload_loses_no_request(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    with Traffic(gateway) as traffic:
        done = gateway.run("reload")
        assert done.returncode == 0, done.stderr
    assert traffic.failures == []
