"""Compare an answer with a recorded one, field by field, as the recordings' README says."""
import base64
import json
import re
import urllib.parse

UUID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b", re.I)
HEX32 = re.compile(r"\b[0-9a-f]{32}\b")
# Numbers that depend on the clock: only their type is compared.
VOLATILE_NUMBERS = {"created_at", "updated_at", "ttl", "started_at", "expires", "expires_in"}
SECRETS = {"key", "secret", "client_id", "client_secret", "provision_key", "password", "access_token",
           "refresh_token", "code"}
# Headers that say nothing about behaviour; Content-Length is looked at together with the body.
IGNORED_HEADERS = {"date", "keep-alive", "content-length"}
LATENCIES = re.compile(r"^x-kong-(upstream|proxy|response|admin)-latency$")
WINDOW_REST = {"ratelimit-reset", "retry-after"}
WINDOWS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "month": 31 * 86400, "year": 366 * 86400}
# Info endpoints that name the recording machine: only the set of keys counts.
SHAPE_ONLY = re.compile(r"^/(status|timers)?/?(\?|$)")
# Lists of what exists: ours is shorter for now, and holds nothing that the recorded one lacks.
INVENTORIES = {"/endpoints": "data", "/plugins/enabled": "enabled_plugins"}
OURS = re.compile(r"^x-turnpike-")


class Comparer:
    """One scenario's comparer: knows which ids its requests gave, so that those are compared exactly."""

    def __init__(self, lines):
        requests = " ".join(str(line["request"]) for line in lines)
        self.given = {u.lower() for u in UUID.findall(requests)}

    def compare(self, line, answer):
        out = []
        if answer.status != line["status"]:
            if line["status"] == 500 and "unexpected error" in str(line["body"]) and 400 <= answer.status < 500:
                return []  # a defect of the recorded one: a clean refusal is better
            out.append(f"status {answer.status}, recorded {line['status']}; body {str(answer.body)[:200]}")
            return out
        self.headers(line, answer, out)
        self.request_id(answer, out)
        path = line["request"]["path"].split("?")[0].rstrip("/")
        body, wanted = answer.body, line["body"]
        if line["target"] == "admin" and SHAPE_ONLY.match(line["request"]["path"]):
            self.shape(body, wanted, out)
        elif line["target"] == "admin" and path in INVENTORIES and line["status"] == 200:
            self.inventory(INVENTORIES[path], body, wanted, out)
        elif "/schema" in path and "/validate" not in path:
            self.value("body", without_descriptions(body), without_descriptions(wanted), out)
        else:
            self.value("body", body, wanted, out)
            self.length(line, answer, out)
        return out

    @staticmethod
    def shape(body, wanted, out):
        missing = set(wanted) - set(body) if isinstance(wanted, dict) and isinstance(body, dict) else set()
        if missing or type(body) is not type(wanted):
            out.append(f"body lacks {sorted(missing)}")

    @staticmethod
    def inventory(member, body, wanted, out):
        if isinstance(wanted, dict):
            unknown = set(body[member]) - set(wanted[member])
            if unknown:
                out.append(f"body.{member}: {sorted(unknown)} not in the recording")

    # --- headers

    def headers(self, line, answer, out):
        recorded = {n.lower(): v for n, v in line["headers"].items()}
        ours = {}
        for name, value in answer.headers:
            ours.setdefault(name.lower(), []).append(value)
        for name in sorted(set(recorded) | set(ours)):
            if name in IGNORED_HEADERS or OURS.match(name):
                continue
            wanted = recorded.get(name)
            wanted = wanted if isinstance(wanted, list) or wanted is None else [wanted]
            self.header(name, ours.get(name), wanted, out)
        if ("content-length" in recorded) != ("content-length" in ours):
            out.append(f"header content-length: {ours.get('content-length')}, recorded {recorded.get('content-length')}")
        window = max([WINDOWS.get(n.rsplit("-", 1)[1], 0) for n in ours if n.startswith("x-ratelimit-limit-")] or [0])
        for name in WINDOW_REST & set(ours):
            if window and not (ours[name][0].isdigit() and 1 <= int(ours[name][0]) <= window):
                out.append(f"header {name}: {ours[name]} is not in 1..{window}")

    def header(self, name, got, wanted, out):
        if wanted is None:
            out.append(f"header {name}: {got} not in the recording")
        elif got is None:
            out.append(f"header {name}: missing, recorded {wanted}")
        elif LATENCIES.match(name) or name in WINDOW_REST:
            if len(got) != len(wanted) or not all(v.isdigit() for v in got):
                out.append(f"header {name}: {got} is no number")
        elif name == "x-kong-request-id":
            if len(got) != 1 or not HEX32.fullmatch(got[0]):
                out.append(f"header {name}: {got}")
        elif name == "x-seen":  # what the upstream of a WebSocket saw
            seen, expected = (json.loads(base64.b64decode(v[0])) for v in (got, wanted))
            if "Kong-Debug" not in expected["headers"]:
                seen["headers"].pop("Kong-Debug", None)  # added by the replay
            self.value("body", seen, expected, out)
        elif [self.text(v) for v in got] != [self.text(v) for v in wanted]:
            out.append(f"header {name}: {got}, recorded {wanted}")

    @staticmethod
    def request_id(answer, out):
        """The id in an error body, and the one that the upstream got, are the one in the header."""
        told = answer.header("X-Kong-Request-Id")
        found = re.search(rb'request_?id"?(?:>|:) ?"?([0-9a-f]{32})', answer.raw)
        seen = folded(answer.body["headers"]).get("x-kong-request-id", [told])[0] \
            if isinstance(answer.body, dict) and isinstance(answer.body.get("headers"), dict) else told
        if told and ((found and found[1].decode() != told) or seen != told):
            out.append(f"the request id of the header, {told}, is not that of the body")

    # --- bodies

    @staticmethod
    def length(line, answer, out):
        """The framing of equal values: spaces and escapes, which parsed JSON hides."""
        recorded = next((v for n, v in line["headers"].items() if n.lower() == "content-length"), None)
        ours = answer.header("Content-Length")
        if out or recorded is None or ours is None or ours == recorded:
            return
        if re.search(r'"(ttl|offset|connect_time)": *[^n]', str(json.dumps(line["body"]))):
            return  # as many digits as the clock gives
        if isinstance(line["body"], dict) and same_content(answer.body, line["body"]):
            return
        out.append(f"header content-length: {ours}, recorded {recorded}")

    def text(self, value):
        """Texts with what differs from run to run taken out."""
        value = UUID.sub(lambda m: m[0].lower() if m[0].lower() in self.given else "<uuid>", value)
        value = HEX32.sub("<hex32>", value)
        value = re.sub(r"\b(table|function): 0x[0-9a-f]+", r"\1: <address>", value)
        return re.sub(r"offset=[^&\s\"]+", "offset=<offset>", value)

    def value(self, path, got, wanted, out):
        name = path.rsplit(".", 1)[-1]
        if isinstance(wanted, dict) and isinstance(got, dict):
            self.members(path, got, wanted, out)
        elif isinstance(wanted, list) and isinstance(got, list):
            self.items(path, got, wanted, out)
        elif isinstance(wanted, bool) or isinstance(got, bool):
            if got is not wanted:
                out.append(f"{path}: {got!r}, recorded {wanted!r}")
        elif isinstance(wanted, (int, float)) and isinstance(got, (int, float)):
            if type(got) is not type(wanted) or (name not in VOLATILE_NUMBERS and got != wanted):
                out.append(f"{path}: {got!r}, recorded {wanted!r}")
        elif isinstance(wanted, str) and isinstance(got, str):
            self.string(path, name, got, wanted, out)
        elif got != wanted:
            out.append(f"{path}: {str(got)[:300]!r}, recorded {str(wanted)[:300]!r}")

    def string(self, path, name, got, wanted, out):
        if name == "offset" or (name in SECRETS and is_generated(got) and is_generated(wanted)
                                and len(got) == len(wanted)):
            return
        if self.text(got) != self.text(wanted) and not (path == "body.body" and same_text(got, wanted)):
            out.append(f"{path}: {got[:300]!r}, recorded {wanted[:300]!r}")

    def members(self, path, got, wanted, out):
        if path == "body.headers":  # the echo upstream: names compare without case
            got, wanted = folded(got), folded(wanted)
        for key in sorted(set(got) | set(wanted), key=str):
            where = f"{path}.{key}"
            if key not in got:
                out.append(f"{where}: missing, recorded {str(wanted[key])[:200]!r}")
            elif key not in wanted:
                out.append(f"{where}: {str(got[key])[:200]!r} is not in the recording")
            else:
                self.value(where, got[key], wanted[key], out)

    def items(self, path, got, wanted, out):
        if len(got) != len(wanted):
            out.append(f"{path}: {len(got)} items, recorded {len(wanted)}: {str(got)[:200]}")
            return
        if path == "body.data":  # ordered by random ids: compare as a set, best match first
            got = match_up(self, got, wanted)
        for i, (a, b) in enumerate(zip(got, wanted)):
            self.value(f"{path}[{i}]", a, b, out)


def match_up(comparer, got, wanted):
    """The items of `got` in an order that agrees with `wanted` as far as possible."""
    left, ordered = list(got), []
    for item in wanted:
        def distance(candidate, item=item):
            found = []
            comparer.value("item", candidate, item, found)
            return len(found)
        best = min(left, key=distance)
        left.remove(best)
        ordered.append(best)
    return ordered


def folded(headers):
    """Names in lower case; what differs only in case is one header with several values."""
    out = {}
    for name, value in headers.items():
        out.setdefault(name.lower(), []).extend(value if isinstance(value, list) else [value])
    return out


def same_content(one, other):
    """Whether two echoed exchanges differ in the upstream's own framing only: a body that a plugin rewrote."""
    texts = [b.get("body") if isinstance(b, dict) else None for b in (one, other)]
    return all(isinstance(t, str) for t in texts) and texts[0] != texts[1] and same_text(*texts)


def same_text(one, other):
    """Bodies rewritten by a plugin: the order of JSON members and of form fields is that of a hash table."""
    try:
        return json.loads(one) == json.loads(other)
    except ValueError:
        fields = [urllib.parse.parse_qs(text, keep_blank_values=True) for text in (one, other)]
        return fields[0] == fields[1] and bool(fields[0])


def is_generated(text):
    return re.fullmatch(r"[A-Za-z0-9]{32}|[0-9a-f]{40}", text) is not None


def without_descriptions(value):
    """Schemas describe fields in words: ours are our own."""
    if isinstance(value, dict):
        return {k: without_descriptions(v) for k, v in value.items() if k != "description" or not isinstance(v, str)}
    if isinstance(value, list):
        return [without_descriptions(v) for v in value]
    return value
