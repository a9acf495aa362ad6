"""A name server for tests: answers A questions from a table, NXDOMAIN otherwise; can fall silent."""
import contextlib
import socket
import struct
import threading


class NameServer:
    def __init__(self):
        self.names, self.questions, self.silent = {}, [], False
        self.held = []  # questions that came while it was silent
        self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.sock.bind(("127.0.0.1", 0))
        self.port = self.sock.getsockname()[1]
        self.ended = False
        threading.Thread(target=self.serve, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *error):
        self.ended = True
        with contextlib.suppress(OSError):
            self.sock.sendto(b"", ("127.0.0.1", self.port))
        self.sock.close()

    def serve(self):
        while not self.ended:
            try:
                query, client = self.sock.recvfrom(4096)
            except OSError:
                return
            if len(query) > 12:
                reply = self.reply(query)
                if self.silent:
                    self.held.append((query, client))
                else:
                    self.sock.sendto(reply, client)

    def speak(self):
        """Be silent no more, and answer what was asked meanwhile."""
        self.silent = False
        for query, client in self.held:
            self.sock.sendto(self.reply(query), client)

    def reply(self, query):
        labels, at = [], 12
        while query[at]:
            labels.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        question = query[12:at + 5]
        name, kind = ".".join(labels).lower(), struct.unpack("!H", query[at + 1:at + 3])[0]
        self.questions.append(name)
        address = self.names.get(name)
        answers = b""
        if address and kind == 1:
            answers = b"\xc0\x0c" + struct.pack("!HHIH", 1, 1, 60, 4) + socket.inet_aton(address)
        code = 0 if address else 3
        return query[:2] + struct.pack("!HHHHH", 0x8180 | code, 1, bool(answers), 0, 0) + question + answers
