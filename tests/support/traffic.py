"""Callers that go on while a test does something to the gateway, and say afterwards what happened to them."""
import threading
import time


class Traffic(threading.Thread):
    """Requests, one after the other, until told to stop; remembers what failed, the longest silence and latencies."""

    def __init__(self, gateway, path="/", headers=None, good=(200,)):
        super().__init__(daemon=True)
        self.gateway, self.path, self.headers, self.good = gateway, path, headers or {}, set(good)
        self.ended = threading.Event()
        self.ok, self.failures, self.longest_gap, self.longest_call = 0, [], 0.0, 0.0

    def run(self):
        last = time.monotonic()
        while not self.ended.is_set():
            start = time.monotonic()
            try:
                status = self.gateway.get(self.path, self.headers, timeout=5).status
            except (OSError, EOFError) as error:
                status = repr(error)
            now = time.monotonic()
            self.longest_call = max(self.longest_call, now - start)
            if status in self.good:
                self.longest_gap = max(self.longest_gap, now - last)
                last = now
                self.ok += 1
            else:
                self.failures.append(status)
                time.sleep(0.005)

    def __enter__(self):
        self.start()
        time.sleep(0.1)
        return self

    def __exit__(self, *error):
        time.sleep(0.1)
        self.ended.set()
        self.join()
