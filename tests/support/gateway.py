"""A real gateway for tests: build/turnpike on a prefix of its own, with free ports, ended by process id."""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from support.wire import exchange

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(os.environ.get("TURNPIKE_BUILD", ROOT / "build"))
TURNPIKE = BUILD / "turnpike"
CACHE = BUILD / "CMakeCache.txt"
# Memory cannot be judged under the sanitizers, and everything takes longer.
SANITIZED = CACHE.exists() and "TURNPIKE_SANITIZE:STRING=address" in CACHE.read_text()
SANITIZER_REPORT = re.compile(r"ERROR: (Address|Leak)Sanitizer|AddressSanitizer:DEADLYSIGNAL|:\d+:\d+: runtime error: ")


def free_port():
    """A port nobody listens on, out of the range that outgoing connections take theirs from: it stays free."""
    while True:
        port = random.randrange(20_000, 32_000)
        with socket.socket() as sock, contextlib.suppress(OSError):
            sock.bind(("127.0.0.1", port))
            return port


def wait_until(condition, what, seconds=10.0):
    """Poll until condition() is true (and return its value), or fail saying what was awaited."""
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"waited {seconds} s in vain until {what}")
        time.sleep(0.01)


class Client:
    """Requests to one listener, each on a connection of its own."""

    def __init__(self, port):
        self.port = port

    def request(self, method, path, headers=None, body=None, **options):
        headers = headers or {}
        if isinstance(body, (dict, list)) and "Content-Type" not in dict(headers):
            headers = {**dict(headers), "Content-Type": "application/json"}
        answer = exchange("127.0.0.1", self.port, {"method": method, "path": path, "headers": headers, "body": body,
                                                  **options.pop("extra", {})}, **options)
        answer.json = lambda: json.loads(answer.raw)
        return answer

    def get(self, path, headers=None, **options):
        return self.request("GET", path, headers, **options)

    def post(self, path, body=None, headers=None, **options):
        return self.request("POST", path, headers, body, **options)

    def put(self, path, body=None, headers=None, **options):
        return self.request("PUT", path, headers, body, **options)

    def patch(self, path, body=None, headers=None, **options):
        return self.request("PATCH", path, headers, body, **options)

    def delete(self, path, headers=None, **options):
        return self.request("DELETE", path, headers, **options)


class Admin(Client):
    """The Admin API with shorthands that fail loudly."""

    def create(self, path, **body):
        answer = self.post(path, body)
        assert answer.status == 201, f"POST {path} {body}: {answer.status} {answer.body}"
        return answer.json()

    def service(self, url="http://127.0.0.1:1", paths=None, route=None, **fields):
        """A service, and with `paths` (or further route fields) a route to it."""
        service = self.create("/services", url=url, **fields)
        if paths or route:
            service["route"] = self.create(f"/services/{service['id']}/routes", **(route or {}),
                                           **({"paths": paths} if paths else {}))
        return service

    def plugin(self, name, config=None, service=None, route=None, consumer=None, **fields):
        scope = {kind: {"id": entity["id"]} for kind, entity in
                 (("service", service), ("route", route), ("consumer", consumer)) if entity}
        return self.create("/plugins", name=name, config=config or {}, **scope, **fields)

    def consumer(self, username, key=None):
        consumer = self.create("/consumers", username=username)
        if key:
            self.create(f"/consumers/{consumer['id']}/key-auth", key=key)
        return consumer


class Gateway:
    """with Gateway(...) as gateway: gateway.admin.…, gateway.get(…). Settings as in the file, by name."""

    def __init__(self, prefix=None, proxy_listen=None, admin_listen=None, settings=None, environment=None, wait=True):
        self.own_prefix = prefix is None
        self.prefix = pathlib.Path(prefix or tempfile.mkdtemp(prefix="turnpike-test-"))
        self.prefix.chmod(0o755)  # workers run as another user, where tests run as root
        self.proxy_port = int(proxy_listen.rsplit(":", 1)[1]) if proxy_listen else free_port()
        self.admin_port = int(admin_listen.rsplit(":", 1)[1]) if admin_listen else free_port()
        self.settings = {"proxy_listen": f"127.0.0.1:{self.proxy_port}", "admin_listen": f"127.0.0.1:{self.admin_port}",
                         "status_listen": "off", "admin_gui_listen": "off", "nginx_worker_processes": "2",
                         **(settings or {})}
        self.environment = environment or {}
        self.wait = wait
        self.process = None
        self.admin = Admin(self.admin_port)
        self.proxy = Client(self.proxy_port)

    # --- life

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *error):
        self.stop()

    def command(self, *arguments):
        return [str(TURNPIKE), *arguments, "--prefix", str(self.prefix)]

    def env(self):
        base = {k: v for k, v in os.environ.items() if not k.startswith(("KONG_", "TURNPIKE_"))}
        base.update({f"TURNPIKE_{name.upper()}": str(value) for name, value in self.settings.items()})
        base.update(self.environment)
        return base

    def start(self):
        self.output = open(self.prefix / "output.txt", "ab")
        self.process = subprocess.Popen(self.command("run"), env=self.env(), stdout=self.output,
                                        stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        if self.wait:
            wait_until(self.is_serving, "the gateway serves", 20)

    def is_serving(self):
        if self.process.poll() is not None:
            raise AssertionError(f"turnpike run ended with {self.process.returncode}:\n{self.said()}")
        with contextlib.suppress(OSError):
            return self.admin.get("/status").status == 200 and self.proxy.get("/-").status != 0
        return False

    def stop(self, sig=signal.SIGTERM):
        if self.process and self.process.poll() is None:
            self.process.send_signal(sig)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                raise
        reports = ""
        if self.process:
            self.output.close()
            reports = self.sanitizer_reports()
        if self.own_prefix:
            shutil.rmtree(self.prefix, ignore_errors=True)
        assert not reports, f"a sanitizer reports:\n{reports}"

    def run(self, *arguments, **options):
        """Run a CLI command on this instance's prefix."""
        return subprocess.run(self.command(*arguments), env=self.env(), capture_output=True, text=True, timeout=60,
                              **options)

    # --- looking

    def sanitizer_reports(self):
        """What sanitizers had to say in any process of this instance, from the first finding on."""
        reports = []
        for path in [self.prefix / "output.txt", *sorted((self.prefix / "logs").glob("*"))]:
            text = path.read_text(errors="replace") if path.is_file() else ""
            found = SANITIZER_REPORT.search(text)
            if found:
                reports.append(f"{path.name}: {text[found.start():found.start() + 8000]}")
        return "\n".join(reports)

    def said(self):
        texts = [p.read_text(errors="replace")[-4000:] for p in
                 [self.prefix / "output.txt", *sorted((self.prefix / "logs").glob("*.log"))] if p.exists()]
        return "\n".join(texts)

    def children(self, pid=None):
        """Process ids below `pid` (default: the supervisor), with their command lines."""
        pid = pid or self.process.pid
        found = {}
        for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
            with contextlib.suppress(OSError, ProcessLookupError):
                fields = stat.read_text().rsplit(")", 1)[1].split()
                if int(fields[1]) == pid and fields[0] != "Z":
                    child = int(stat.parent.name)
                    found[child] = (stat.parent / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        return found

    def pid_of(self, what):
        """'control', 'master' (nginx's) or 'worker'."""
        for pid, line in self.children().items():
            if what == "control" and "nginx" not in line:
                return pid
            if "nginx: master" in line:
                if what == "master":
                    return pid
                for worker, name in self.children(pid).items():
                    if what == "worker" and "nginx: worker" in name and "shutting" not in name:
                        return worker
        return None

    # --- requests through the proxy

    def get(self, path, headers=None, **options):
        return self.proxy.get(path, headers, **options)

    def post(self, path, body=None, headers=None, **options):
        return self.proxy.post(path, body, headers, **options)

    def request(self, method, path, headers=None, body=None, **options):
        return self.proxy.request(method, path, headers, body, **options)


def quote(text):
    return urllib.parse.quote(text, safe="")
