"""The README's examples are true: its lines are run against the demo, as a reader would.

Only the ports are others, so that a demo that runs here already is left alone.
"""
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile

import pytest

from support.gateway import BUILD, ROOT, TURNPIKE, free_port, wait_until

pytestmark = pytest.mark.slow

PROXY, ADMIN = free_port(), free_port()
HEADERS = ("ratelimit-limit: 10000", "ratelimit-remaining:", "ratelimit-reset:", "x-forecast-api-calls:",
           "cache-control: max-age=900", "content-type: application/json")


def environment(proxy=PROXY, admin=ADMIN, **more):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KONG_", "TURNPIKE_"))}
    return {**clean, "TURNPIKE_PROXY_LISTEN": f"127.0.0.1:{proxy}", "TURNPIKE_ADMIN_LISTEN": f"127.0.0.1:{admin}", **more}


def blocks(mark):
    """The shell lines of the code block behind `mark`."""
    text = (ROOT / "README.md").read_text()
    return re.search(re.escape(mark) + r".*?```sh\n(.*?)```", text, re.S)[1].strip().splitlines()


def shell(line, **options):
    line = line.replace("localhost:8000", f"localhost:{PROXY}").replace("localhost:8001", f"localhost:{ADMIN}")
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, cwd=ROOT, **options)


class Demo:
    """scripts/run-demo on what was built, on a prefix of its own."""

    def __init__(self, **settings):
        self.prefix = pathlib.Path(tempfile.mkdtemp(prefix="turnpike-demo-"))
        self.prefix.chmod(0o755)
        self.output = self.prefix / "said.txt"
        env = environment(DEMO_NO_BUILD="1", TURNPIKE_BUILD=str(BUILD), TURNPIKE_PREFIX=str(self.prefix / "demo"), **settings)
        with self.output.open("w") as out:
            self.process = subprocess.Popen([ROOT / "scripts/run-demo"], stdout=out, stderr=out, env=env, cwd=ROOT,
                                            stdin=subprocess.DEVNULL, start_new_session=True)

    def said(self):
        return self.output.read_text()

    def is_ready(self):
        assert self.process.poll() is None, self.said()
        return "Ctrl-C stops it" in self.said()

    def members(self):
        """Processes of the demo that are left: those that know its prefix, or were started in its session."""
        left = []
        for folder in pathlib.Path("/proc").glob("[0-9]*"):
            try:
                session = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[3])
                state = (folder / "stat").read_text().rsplit(")", 1)[1].split()[0]
                line = (folder / "cmdline").read_bytes().decode(errors="replace").replace("\0", " ")
            except (FileNotFoundError, ProcessLookupError):
                continue
            if state != "Z" and (session == self.process.pid or str(self.prefix) in line):
                left.append(line)
        return left

    def interrupt(self):
        """Ctrl-C: the terminal sends SIGINT to the whole foreground process group."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(30)

    def close(self):
        if self.process.poll() is None:
            self.interrupt()
        shutil.rmtree(self.prefix, ignore_errors=True)


@pytest.fixture(scope="module")
def demo():
    running = Demo()
    try:
        wait_until(running.is_ready, "the demo serves", 60)
        yield running
    finally:
        running.close()


def assert_forecast(done):
    assert done.stdout.startswith("HTTP/1.1 200"), done.stdout
    for header in HEADERS:
        assert header in done.stdout.lower()
    assert '"latitude"' in done.stdout


def test_the_demo_listens_where_the_readme_says():
    settings = (ROOT / "demo/turnpike.conf").read_text()
    assert "proxy_listen = 127.0.0.1:8000\n" in settings and "admin_listen = 127.0.0.1:8001\n" in settings


def test_the_calls_of_the_readme(demo):
    by_path, by_header, by_query, refused, admin = blocks("run these lines")
    for line in (by_path, by_header, by_query):
        assert_forecast(shell(line.replace("curl -s", "curl -si")))
    done = shell(refused.replace("curl -s", "curl -si"))
    assert done.stdout.startswith("HTTP/1.1 401") and "text/html" in done.stdout and "<html" in done.stdout
    assert '"name":"weather"' in shell(admin).stdout.replace(" ", "")


def test_a_wrong_key_gets_json_unless_a_browser_asks(demo):
    refused = shell("curl -si localhost:8000/forecast/wrong-key/45.42,-75.69").stdout
    assert refused.startswith("HTTP/1.1 401") and "application/json" in refused


def test_every_call_that_the_demo_prints_works(demo):
    lines = [line.strip() for line in demo.said().splitlines() if line.strip().startswith("curl ")]
    assert len(lines) == 6
    done = [shell(line) for line in lines]
    assert [d.returncode for d in done] == [0] * 6
    assert [d.stdout.split()[1] for d in done[:5]] == ["200", "200", "200", "401", "401"]
    for served in done[:3]:
        assert_forecast(served)


def test_a_second_demo_says_what_holds_the_port_and_does_no_harm(demo):
    second = Demo()
    try:
        assert second.process.wait(30) == 1
        assert re.search(rf"127\.0\.0\.1:{PROXY} is held by process \d+: .*turnpike", second.said()), second.said()
        assert f"127.0.0.1:{ADMIN} is held by" in second.said() and "TURNPIKE_PROXY_LISTEN" in second.said()
    finally:
        second.close()
    assert_forecast(shell(blocks("run these lines")[0].replace("curl -s", "curl -si")))


def test_ctrl_c_leaves_nothing_running():
    proxy, admin = free_port(), free_port()
    demo = Demo(TURNPIKE_PROXY_LISTEN=f"127.0.0.1:{proxy}", TURNPIKE_ADMIN_LISTEN=f"127.0.0.1:{admin}")
    try:
        wait_until(demo.is_ready, "the demo serves", 60)
        assert len(demo.members()) >= 4  # the script, the weather service, Turnpike and its children
        assert demo.interrupt() == 0
        assert demo.members() == []
        assert subprocess.run([ROOT / "scripts/who-listens", f"127.0.0.1:{proxy}", f"127.0.0.1:{admin}"]).returncode == 0
    finally:
        demo.close()


def test_the_commands_of_an_own_instance(tmp_path):
    proxy, admin = free_port(), free_port()
    start, service, route, stop = (line.replace("./gateway", str(tmp_path / "gateway"))
                                   .replace("build/turnpike", str(TURNPIKE))
                                   .replace("localhost:8001", f"localhost:{admin}") for line in blocks("in one folder"))
    env = environment(proxy, admin)
    try:
        done = shell(start, env=env)
        assert done.returncode == 0, done.stderr
        assert '"weather"' in shell(service).stdout
        assert "/weather" in shell(route).stdout
    finally:
        done = shell(stop, env=env)
    assert done.returncode == 0


def test_the_other_commands_that_the_readme_names():
    text = (ROOT / "README.md").read_text()
    for command in re.findall(r"`(build/turnpike [^`]*)`", text):
        done = shell(command.replace("build/turnpike", str(TURNPIKE)), env=environment())
        assert done.returncode == 0 and done.stdout, command
    makefile = (ROOT / "Makefile").read_text()
    for verb in re.findall(r"make ([a-z-]+)", text):
        assert re.search(rf"^{verb}:", makefile, re.M), f"make {verb}"
