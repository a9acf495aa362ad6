#!/usr/bin/python3
"""Replay what a real Kong answered, and compare.

The recordings (JSON lines; their README says how they were made and how to treat each field) are read from
../shared/reference/kong-answers beside the checkout, or from --recordings. Every scenario starts from an empty
configuration. Prints the disagreements and, at the end, "N passed, N failed, N skipped" where skipped counts the
exchanges that need an entity or a plugin that does not exist yet.

    tests/conformance/replay.py [--only SCENARIO-GLOB] [--file admin-crud] [--verbose]
"""
import argparse
import collections
import contextlib
import fnmatch
import json
import pathlib
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(ROOT / "tests"))

from conformance.compare import Comparer  # noqa: E402
from conformance.deviations import Deviations  # noqa: E402
from support.gateway import Gateway  # noqa: E402
from support.names import NameServer  # noqa: E402
from support.origins import redis_server  # noqa: E402
from support.wire import exchange  # noqa: E402

# Ports that the recordings were made with: some of them show in answers.
PROXY, PROXY_TLS, ADMIN, STATUS, REDIS = 18000, 18443, 18001, 18100, 56379
FILES = {
    "admin-info": {}, "admin-crud": {}, "admin-errors": {}, "proxy-plugins": {},
    "proxy-routing": {"allow_debug_header": "on"},
    "proxy-routing-traditional": {"allow_debug_header": "on", "router_flavor": "traditional"},
}
# In this order nothing refers to what was deleted before.
KINDS = ["plugins", "key-auths", "routes", "services", "consumers"]
# Entities of Kong that Turnpike does not have yet, as path segments and as members of bodies.
LATER_PATHS = {"upstreams", "targets", "certificates", "snis", "ca_certificates", "vaults", "keys", "key-sets",
               "basic-auths", "basic-auth", "hmac-auths", "hmac-auth", "jwts", "jwt", "acls", "oauth2",
               "oauth2_tokens", "sessions", "acme_storage", "filter-chains", "client_certificate", "config", "cache",
               "clustering", "metrics", "acme", "proxy-cache", "key_sets", "basicauth_credentials", "jwt_secrets",
               "hmacauth_credentials", "oauth2_credentials", "filters", "dns", "workspaces", "parameters",
               "oauth2_authorization_codes", "ratelimiting_metrics", "clustering_data_planes", "filter_chains"}
LATER_TARGETS = {"proxy-tls", "status", "sink", "file"}


class Server:
    """The gateway under test and its neighbours (echo upstream, Redis)."""

    def __init__(self, settings):
        self.stack = contextlib.ExitStack()
        self.settings = settings

    def __enter__(self):
        recordings = self.settings.pop("recordings")
        echo = subprocess.Popen(["node", str(recordings / "echo.js")], stdout=subprocess.PIPE, text=True)
        self.stack.callback(lambda: (echo.kill(), echo.wait()))
        echo.stdout.readline()
        self.stack.enter_context(redis_server(REDIS))
        names = self.stack.enter_context(NameServer())  # knows no name, at once and wherever this runs
        self.gateway = self.stack.enter_context(Gateway(
            proxy_listen=f"127.0.0.1:{PROXY}", admin_listen=f"127.0.0.1:{ADMIN}",
            settings={"nginx_worker_processes": "1", "dns_resolver": f"127.0.0.1:{names.port}", **self.settings}))
        plugins = self.gateway.admin.get("/plugins/enabled").json()["enabled_plugins"]
        self.plugins = set(plugins)
        return self

    def __exit__(self, *error):
        self.stack.close()

    def reset(self):
        for kind in KINDS:
            while True:
                page = self.gateway.admin.get(f"/{kind}?size=1000").json()["data"]
                for item in page:
                    self.gateway.admin.delete(f"/{kind}/{item['id']}")
                if not page:
                    break


def needs_later(line, plugins):
    """Why an Admin exchange cannot be answered yet, or None."""
    path = line["request"]["path"].split("?")[0]
    segments = [s for s in path.split("/") if s]
    for segment in segments:
        if segment in LATER_PATHS:
            return segment
    if segments == ["schemas", "tags"]:
        return "tags"
    if segments[:2] in (["schemas", "plugins"], ["plugins", "schema"]) and len(segments) > 2:
        name = segments[2]
        if name not in plugins and name != "validate" and line["status"] == 200:
            return name
    body = line["request"]["body"]
    name = body.get("name") if isinstance(body, dict) else None
    if segments and segments[-1] in ("plugins", "validate") and isinstance(name, str) and name not in plugins \
            and "not enabled" not in json.dumps(line["body"]):
        return name
    if "plugins" in segments and 200 <= line["status"] < 300 and isinstance(line["body"], dict):
        name = line["body"].get("name")
        if isinstance(name, str) and name not in plugins:
            return name
    return None


def substitute(value, variables):
    if isinstance(value, str):
        for name, text in variables.items():
            value = value.replace("${" + name + "}", str(text))
        return value
    if isinstance(value, list):
        return [substitute(v, variables) for v in value]
    if isinstance(value, dict):
        return {substitute(k, variables): substitute(v, variables) for k, v in value.items()}
    return value


def capture(body, path):
    for part in path.split("."):
        body = body[int(part)] if isinstance(body, list) else body[part]
    return body


class Scenario:
    """One scenario's lines, replayed in order against an empty gateway."""

    def __init__(self, server, lines, comparer_options):
        self.server, self.lines = server, lines
        self.variables = {}
        self.missing = None
        self.marks = False  # routes were to answer X-Route, by a plugin that does not exist yet
        self.expires = 0.0  # when the last key with a ttl has expired: the recorder waited for it
        self.results = []
        self.comparer = Comparer(lines, **comparer_options)

    def run(self):
        self.server.reset()
        for line in self.lines:
            self.results.append((line, *self.step(line)))
        return self.results

    def step(self, line):
        if line["target"] in LATER_TARGETS:
            return "later", line["target"]
        reason = needs_later(line, self.server.plugins) if line["target"] == "admin" else None
        unresolved = [n for n in line.get("vars", {}) if n not in self.variables]
        if reason or unresolved:
            self.marks = self.marks or marks_a_route(line)
            if not marks_a_route(line):
                self.missing = self.missing or reason or unresolved[0]
            for name in line.get("captures", {}):
                self.variables.pop(name, None)
            return "later", reason or f"needs ${{{unresolved[0]}}}"
        port = ADMIN if line["target"] == "admin" else PROXY
        self.heed_expiry(line)
        request = same_age_and_id(line, substitute(line["request"], self.variables))
        try:
            if self.marks and line["target"] == "proxy":
                line, answer = self.asking_for_the_route(line, request)
            else:
                answer = exchange("127.0.0.1", port, request)
        except OSError as error:
            return "fail", [f"no answer: {error}"]
        for name, path in line.get("captures", {}).items():
            with contextlib.suppress(KeyError, IndexError, TypeError, ValueError):
                self.variables[name] = capture(answer.body, path)
        differences = self.comparer.compare(line, answer)
        if differences and self.missing and depends_on_missing(line):
            return "later", f"the scenario needs {self.missing}"
        return ("fail", differences) if differences else ("pass", None)

    @staticmethod
    def asking_for_the_route(line, request):
        """The exchange with Kong-Debug, whose Kong-Route-Name stands in for the X-Route of response-transformer."""
        headers = request["headers"]
        pairs = list(headers.items()) if isinstance(headers, dict) else [tuple(pair) for pair in headers]
        asked = any(name.lower() == "kong-debug" for name, _ in pairs)
        answer = exchange("127.0.0.1", PROXY, {**request, "headers": pairs if asked else [*pairs, ("Kong-Debug", "1")]})
        route = answer.header("Kong-Route-Name")
        answer.headers = [(n, v) for n, v in answer.headers if not n.startswith("Kong-") and n != "Content-Length"]
        recorded = {n: v for n, v in line["headers"].items() if n != "Content-Length"}
        if route and "X-Route" in recorded:
            answer.headers.append(("X-Route", route))
        if isinstance(answer.body, dict) and isinstance(answer.body.get("headers"), dict) and not asked:
            answer.body["headers"].pop("Kong-Debug", None)
        return {**line, "headers": recorded}, answer

    def heed_expiry(self, line):
        body = line["request"]["body"]
        if line["target"] == "admin" and isinstance(body, dict) and isinstance(body.get("ttl"), int) and body["ttl"] < 5:
            self.expires = time.monotonic() + body["ttl"] + 1
        elif line["target"] == "proxy" and self.expires > time.monotonic():
            time.sleep(self.expires - time.monotonic())


def same_age_and_id(line, request):
    """Of routes alike in every attribute the larger id wins, or the older one: made as they were when recorded."""
    if line["scenario"].startswith("same-conditions") and request["path"].endswith("/routes") and line["status"] == 201:
        time.sleep(1)
        return {**request, "body": {"id": line["body"]["id"], **request["body"]}}
    return request


def marks_a_route(line):
    """Whether this prepares the answers of a route to say its name."""
    body = line["request"]["body"]
    return isinstance(body, dict) and body.get("name") == "response-transformer" and "X-Route:" in str(body)


def depends_on_missing(line):
    """Whether what an earlier exchange could not make yet shows in this one: proxied answers and lists."""
    path = line["request"]["path"].split("?")[0]
    return line["target"] == "proxy" or path.startswith("/tags") or \
        (line["request"]["method"] == "GET" and isinstance(line["body"], dict) and "data" in line["body"])


def scenarios_of(path):
    grouped = collections.OrderedDict()
    for text in path.read_text().splitlines():
        line = json.loads(text)
        grouped.setdefault(line["scenario"], []).append(line)
    return grouped


def replay_file(name, options, deviations, tally):
    path = options.recordings / f"{name}.jsonl"
    scenarios = {s: lines for s, lines in scenarios_of(path).items() if fnmatch.fnmatch(s, options.only)}
    if not scenarios:
        return
    with Server({"recordings": options.recordings, **FILES[name]}) as server:
        for scenario, lines in scenarios.items():
            results = Scenario(server, lines, {}).run()
            if any(kind == "fail" for _, kind, _ in results) and scenario.startswith("rate-limiting"):
                if time.gmtime().tm_sec > 50:
                    time.sleep(61 - time.gmtime().tm_sec)  # a window rolled over in the middle
                results = Scenario(server, lines, {}).run()
            for line, kind, detail in results:
                count(name, line, kind, detail, deviations, tally, options)


def count(name, line, kind, detail, deviations, tally, options):
    if kind == "fail" and deviations.covers(line["id"]):
        kind = "deviation"
    tally[name][kind] += 1
    if kind == "fail":
        request = line["request"]
        print(f"FAIL {line['id']}: {request['method']} {request['path'][:100]}")
        for difference in detail[:6]:
            print(f"     {difference[:400]}")
    elif options.verbose:
        print(f"{kind} {line['id']} {detail or ''}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recordings", type=pathlib.Path,
                        default=ROOT.parent / "shared" / "reference" / "kong-answers")
    parser.add_argument("--only", default="*", help="glob of scenario names")
    parser.add_argument("--file", choices=list(FILES), action="append", help="only these recordings")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    if not options.recordings.is_dir():
        print(f"no recordings at {options.recordings}: nothing to replay\n0 passed, 0 failed, 1 skipped")
        return 0
    deviations = Deviations(HERE / "deviations.md")
    tally = {name: collections.Counter() for name in options.file or FILES}
    for name in tally:
        replay_file(name, options, deviations, tally)
    total = collections.Counter()
    print(f"{'recording':28}{'agree':>7}{'deviate':>9}{'fail':>6}{'not yet':>9}")
    for name, c in tally.items():
        total.update(c)
        print(f"{name:28}{c['pass']:7}{c['deviation']:9}{c['fail']:6}{c['later']:9}")
    for unused in deviations.unused() if not (options.file or options.only != "*") else []:
        print(f"deviations.md: {unused} matches no disagreement any more: remove it")
    asked = total["pass"] + total["deviation"] + total["fail"]
    agreement = 100.0 * total["pass"] / asked if asked else 0.0
    print(f"{agreement:.1f} % of {asked} exchanges agree; {total['deviation']} deviate on purpose (deviations.md)")
    print(f"conformance: {total['pass'] + total['deviation']} passed, {total['fail']} failed, {total['later']} skipped")
    return 1 if total["fail"] else 0


if __name__ == "__main__":
    sys.exit(main())
