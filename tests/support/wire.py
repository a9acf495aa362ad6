"""HTTP/1.x over a plain socket, to the byte: requests that a client library would refuse to send."""
import base64
import json
import socket

LIMIT = 64 * 1024 * 1024


class Answer:
    """status 0: closed without an answer. headers: list of pairs. body: parsed JSON, text, or {"__base64": …}."""

    def __init__(self, status, headers, raw):
        self.status, self.headers, self.raw = status, headers, raw
        self.body = parse_body(raw, self.header("content-type") or "")

    def header(self, name):
        values = self.all(name)
        return values[0] if values else None

    def all(self, name):
        return [v for n, v in self.headers if n.lower() == name.lower()]


def parse_body(raw, content_type):
    try:
        text = raw.decode()
    except UnicodeDecodeError:
        return {"__base64": base64.b64encode(raw).decode()}
    if "json" in content_type and text:
        try:
            return json.loads(text)
        except ValueError:
            return text
    return text


def request_bytes(request, port):
    headers = request["headers"]
    pairs = [tuple(p) for p in (headers.items() if isinstance(headers, dict) else headers)]
    names = {n.lower() for n, _ in pairs}
    body = request["body"]
    if body is None:
        data = b""
    elif isinstance(body, dict) and set(body) == {"__base64"}:
        data = base64.b64decode(body["__base64"])
    elif isinstance(body, str):
        data = body.encode()
    else:
        data = json.dumps(body, separators=(",", ":")).encode()
    if "host" not in names:
        pairs.insert(0, ("Host", f"127.0.0.1:{port}"))
    if body is not None and not names & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(data))))
    version = {"1.0x": "1.0x"}.get(request.get("http_version", "1.1"), request.get("http_version", "1.1"))
    head = f"{request['method']} {request['path']} HTTP/{version}\r\n"
    head += "".join(f"{n}: {v}\r\n" for n, v in pairs) + "\r\n"
    return head.encode("latin-1" if all(c < "\u0100" for c in head) else "utf-8", "surrogateescape") + data


class Reader:
    def __init__(self, sock):
        self.sock, self.data = sock, b""

    def more(self):
        chunk = self.sock.recv(65536)
        if not chunk or len(self.data) > LIMIT:
            raise EOFError
        self.data += chunk

    def until(self, mark):
        while mark not in self.data:
            self.more()
        part, self.data = self.data.split(mark, 1)
        return part

    def exactly(self, n):
        while len(self.data) < n:
            self.more()
        part, self.data = self.data[:n], self.data[n:]
        return part

    def rest(self):
        try:
            while True:
                self.more()
        except EOFError:
            return self.data


def read_answer(reader, method):
    while True:
        try:
            lines = reader.until(b"\r\n\r\n").decode("latin-1").split("\r\n")
        except (EOFError, ConnectionError):
            return Answer(0, [], b"")
        status = int(lines[0].split()[1])
        headers = [tuple(p.strip() for p in line.split(":", 1)) for line in lines[1:]]
        if status == 101 or status >= 200:
            break
    fields = {n.lower(): v for n, v in headers}
    if method == "HEAD" or status in (101, 204, 304):
        raw = b""
    elif fields.get("transfer-encoding", "").lower() == "chunked":
        raw = read_chunked(reader)
    elif "content-length" in fields:
        raw = reader.exactly(int(fields["content-length"]))
    else:
        raw = reader.rest()
    return Answer(status, headers, raw)


def read_chunked(reader):
    raw = b""
    while True:
        size = int(reader.until(b"\r\n").split(b";")[0], 16)
        raw += reader.exactly(size)
        reader.until(b"\r\n")
        if size == 0:
            return raw


def exchange(host, port, request, timeout=15):
    """Send a recorded request on a connection of its own; the answer, or OSError."""
    with socket.create_connection((host, port), timeout=timeout) as sock:
        try:
            sock.sendall(request_bytes(request, port))
        except (BrokenPipeError, ConnectionResetError):
            pass  # refused early: the answer is there to read
        return read_answer(Reader(sock), request["method"])
