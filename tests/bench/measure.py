"""Load on one listener with wrk, and what the workers spent on it."""
import os
import pathlib
import re
import subprocess
import tempfile
from dataclasses import dataclass

TICK_US = 1_000_000 / os.sysconf("SC_CLK_TCK")
CONNECTIONS = 32

# One request a call, walking through the keys so that look-ups are not all of one row.
SCRIPT = """
local n, step, i = %(keys)d, 7919, %(start)d
local headers = {}
request = function()
  i = (i + step) %% n
  %(header)s
  return wrk.format("GET", "%(path)s", headers)
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%d %%d\\n", summary.requests, summary.duration,
    latency:percentile(50), latency:percentile(99), summary.errors.status + summary.errors.connect +
    summary.errors.read + summary.errors.timeout))
end
"""


@dataclass
class Round:
    requests: int
    rate: float
    cpu_us: float
    user_us: float
    system_us: float
    p50_us: float
    p99_us: float
    errors: int


def cpu_ticks(pids):
    user = system = 0
    for pid in pids:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        user, system = user + int(fields[11]), system + int(fields[12])
    return user, system


def load(target, seconds):
    """A round of `seconds` against target (port, path, keys, worker_pids())."""
    header = f'headers["apikey"] = string.format("key-%07d", i)' if target.keys else ""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(SCRIPT % {"keys": max(target.keys, 1), "start": target.next_start(), "header": header,
                               "path": target.path})
        script.flush()
        pids = target.worker_pids()
        before = cpu_ticks(pids)
        said = subprocess.run(["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds:g}s", "--latency", "-s", script.name,
                               f"http://127.0.0.1:{target.port}{target.path}"], capture_output=True, text=True,
                              check=True).stdout
        after = cpu_ticks(pids)
    requests, duration, p50, p99, errors = map(int, re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+)", said).groups())
    if errors > requests / 1000:
        raise SystemExit(f"{target.name}: {errors} of {requests} requests failed:\n{said}")
    user, system = (TICK_US * (b - a) / max(requests, 1) for a, b in zip(before, after))
    return Round(requests, requests * 1e6 / duration, user + system, user, system, p50, p99, errors)
