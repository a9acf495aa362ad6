"""What is measured: the stage (origin, plain nginx), and the gateway in each scenario."""
import contextlib
import json
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass

from support.gateway import Client, Gateway, free_port, wait_until
from support.origins import redis_server

MODULES = "/usr/lib/nginx/modules"
WARM, COUNTED = 300, 1300  # requests of the two callgrind runs: the difference is counted


@dataclass
class Scenario:
    name: str
    key_auth: bool = False
    keys: int = 0
    limit: str = ""            # "", "local" or "redis"
    consumer_rows: int = 0     # consumer-scoped plugin rows
    churn: bool = False        # keys (10/s) and routes (1/s) change meanwhile
    instructions: bool = True


def SCENARIOS(most):
    """From a bare route to everything at once; `most` is the largest number of keys."""
    middle = max(most // 10, 1000)
    return [
        Scenario("route only"),
        Scenario("key-auth, 1,000 keys", key_auth=True, keys=1000),
        Scenario(f"key-auth + limit, {1000:,} keys", True, 1000, "local"),
        Scenario(f"key-auth + limit, {middle:,} keys", True, middle, "local"),
        Scenario(f"key-auth + limit, {most:,} keys", True, most, "local"),
        Scenario(f"… + {middle:,} consumer rows", True, most, "local", middle),
        Scenario("key-auth + limit in Redis", True, 1000, "redis", instructions=False),
        Scenario("key-auth + limit, changing", True, most, "local", churn=True, instructions=False),
    ]


class Target:
    """Something that serves: a port, a path, and the processes whose CPU counts."""

    def __init__(self, name, port, path, keys, pids):
        self.name, self.port, self.path, self.keys, self.worker_pids = name, port, path, keys, pids
        self.start = 0
        self.churner = None

    def next_start(self):
        self.start += 104729
        return self.start

    @contextlib.contextmanager
    def churn(self):
        if not self.churner:
            yield
            return
        stop = threading.Event()
        thread = threading.Thread(target=self.churner, args=(stop,))
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()


ORIGIN_CONF = """
daemon off; worker_processes 1; pid {dir}/origin.pid; error_log {dir}/origin.log warn;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/t1; proxy_temp_path {dir}/t2;
  fastcgi_temp_path {dir}/t3; uwsgi_temp_path {dir}/t4; scgi_temp_path {dir}/t5;
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ default_type application/json;
    return 200 '{{"temperature":-3.5,"wind":12,"summary":"light snow","hours":[1,2,3,4,5,6,7,8,9,10]}}'; }} }} }}
"""
PLAIN_CONF = """
daemon off; {master} worker_processes 1; pid {dir}/plain.pid; error_log {dir}/plain.log warn;
events {{ worker_connections 4096; }}
http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {dir}/p1; proxy_temp_path {dir}/p2;
  fastcgi_temp_path {dir}/p3; uwsgi_temp_path {dir}/p4; scgi_temp_path {dir}/p5;
  upstream origin {{ server 127.0.0.1:{origin}; keepalive 512; keepalive_requests 1000000000; }}
  server {{ listen 127.0.0.1:{port} backlog=4096; location / {{ proxy_pass http://origin; proxy_http_version 1.1;
    proxy_set_header Connection ""; }} }} }}
"""


class Stage:
    """The origin and the plain nginx, both with one worker, for the whole run."""

    def __init__(self, most_keys):
        self.most_keys = most_keys

    def __enter__(self):
        self.stack = contextlib.ExitStack()
        self.dir = self.stack.enter_context(tempfile.TemporaryDirectory(prefix="turnpike-bench-"))
        self.origin_port, plain_port = free_port(), free_port()
        self.nginx("origin", ORIGIN_CONF, port=self.origin_port)
        process = self.nginx("plain", PLAIN_CONF, port=plain_port, origin=self.origin_port, master="")
        self.plain = Target("plain", plain_port, "/weather", 0, lambda: children(process.pid))
        return self

    def __exit__(self, *error):
        self.stack.close()

    def nginx(self, name, conf, prefix=(), **values):
        path = pathlib.Path(self.dir) / f"{name}.conf"
        path.write_text(conf.format(dir=self.dir, **values))
        process = subprocess.Popen([*prefix, "/usr/sbin/nginx", "-p", self.dir, "-c", str(path)], stderr=subprocess.DEVNULL)
        self.stack.callback(end, process)
        wait_until(lambda: answers(values["port"], "/"), f"{name} answers", 60)
        return process

    # --- the gateway

    @contextlib.contextmanager
    def gateway(self, scenario, **options):
        with contextlib.ExitStack() as stack:
            redis = None
            if scenario.limit == "redis":
                redis = free_port()
                stack.enter_context(redis_server(redis))
            gateway = stack.enter_context(Gateway(settings={
                "nginx_worker_processes": "1", "read_model_map_size": "4g",  # more than valgrind can map otherwise
                "proxy_access_log": "off", "admin_access_log": "off",
                "nginx_http_keepalive_requests": "1000000000", "upstream_keepalive_max_requests": "1000000000"}, **options))
            configure(gateway, scenario, self.origin_port, redis)
            target = Target(scenario.name, gateway.proxy_port, "/weather", scenario.keys,
                            lambda: [gateway.pid_of("worker")])
            target.gateway = gateway
            if scenario.churn:
                target.churner = lambda stop: churn(gateway, stop)
            yield target

    # --- callgrind

    def plain_instructions(self):
        port = free_port()
        conf = pathlib.Path(self.dir) / "counted.conf"
        conf.write_text(PLAIN_CONF.format(dir=self.dir, port=port, origin=self.origin_port, master="master_process off;"))
        return self.count(["/usr/sbin/nginx", "-p", self.dir, "-c", str(conf)], port, 0)

    def instructions(self, target):
        """End the gateway, and run its nginx alone on what it left, in one process, under callgrind."""
        gateway = target.gateway
        gateway.run("quit")
        gateway.process.wait(30)
        for left in (pathlib.Path(gateway.prefix) / "sockets").glob("*.sock"):
            left.unlink()
        conf = pathlib.Path(gateway.prefix) / "run/nginx.conf"
        conf.write_text(re.sub(r"(?m)^\s*worker_processes [^;]*;", "master_process off; worker_processes 1;",
                               conf.read_text(), count=1))
        return self.count(["/usr/sbin/nginx", "-p", str(gateway.prefix), "-c", str(conf), "-g", "daemon off;"],
                          gateway.proxy_port, target.keys)

    def count(self, command, port, keys):
        totals = []
        for requests in (WARM, COUNTED):
            out = pathlib.Path(self.dir) / f"callgrind.{requests}"
            process = subprocess.Popen(["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", *command],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            try:
                wait_until(lambda: answers(port, "/weather"), "nginx under callgrind answers", 120)
                one_connection(port, keys, requests)
            finally:
                end(process)
            totals.append(int(re.search(r"(?m)^(?:summary|totals): (\d+)", out.read_text())[1]))
        return (totals[1] - totals[0]) / (COUNTED - WARM)


def configure(gateway, scenario, origin_port, redis):
    """Load the scenario through the documented bulk path, then the route and its plugins."""
    if scenario.keys:
        path = pathlib.Path(gateway.prefix) / "keys.jsonl"
        write_keys(path, scenario.keys, scenario.consumer_rows)
        done = subprocess.run(gateway.command("config", "import", str(path)), env=gateway.env(), capture_output=True,
                              text=True, timeout=900)
        if done.returncode:
            raise SystemExit(f"config import failed: {done.stderr}")
    service = gateway.admin.service(url=f"http://127.0.0.1:{origin_port}", paths=["/weather"], route={"strip_path": False})
    if scenario.key_auth:
        gateway.admin.plugin("key-auth", service=service)
    if scenario.limit:
        config = {"month": 4_000_000_000, "policy": scenario.limit}
        if redis:
            config["redis"] = {"host": "127.0.0.1", "port": redis}
        gateway.admin.plugin("rate-limiting", config, service=service)
    key = {"apikey": "key-0000000"} if scenario.keys else {}
    wait_until(lambda: gateway.get("/weather", key).status == 200, "the scenario answers 200", 30)


def consumer_id(i):
    return f"00000000-0000-4000-8000-{i:012d}"


def write_keys(path, keys, consumer_rows):
    with open(path, "w") as out:
        for i in range(keys):
            out.write(json.dumps({"consumers": {"id": consumer_id(i), "username": f"user-{i:07d}"}}) + "\n")
            out.write(json.dumps({"keyauth_credentials": {
                "id": f"00000001-0000-4000-8000-{i:012d}", "consumer": {"id": consumer_id(i)}, "key": f"key-{i:07d}"}}) + "\n")
        for i in range(consumer_rows):
            out.write(json.dumps({"plugins": {
                "name": "rate-limiting", "consumer": {"id": consumer_id(i)}, "config": {"month": 4_000_000_000}}}) + "\n")


def churn(gateway, stop):
    """Ten keys and one route a second until told to stop."""
    n = 0
    service = gateway.admin.create("/services", url="http://127.0.0.1:1")
    consumer = gateway.admin.create("/consumers", username=f"churn-{time.monotonic_ns()}")
    while not stop.wait(0.1):
        n += 1
        gateway.admin.create(f"/consumers/{consumer['id']}/key-auth")
        if n % 10 == 0:
            gateway.admin.create(f"/services/{service['id']}/routes", paths=[f"/churn-{time.monotonic_ns()}"])


def answers(port, path):
    try:
        return Client(port).get(path, timeout=2).status != 0
    except OSError:
        return False


def one_connection(port, keys, requests):
    """`requests` requests one after the other on one connection."""
    import http.client
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    for n in range(requests):
        i = (n * 7919) % keys if keys else 0
        connection.request("GET", "/weather", headers={"apikey": f"key-{i:07d}"} if keys else {})
        response = connection.getresponse()
        response.read()
        if response.status != 200:
            raise SystemExit(f"status {response.status} while counting instructions")


def children(pid):
    return [int(p) for p in pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def end(process):
    process.terminate()
    try:
        process.wait(90)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
