"""The README's examples are true: its lines are run against the demo, as a reader would."""
import os
import pathlib
import re
import signal
import subprocess

import pytest

from support.gateway import BUILD, ROOT, wait_until

pytestmark = pytest.mark.slow


def blocks(mark):
    """The shell lines of the code block behind `mark`."""
    text = (ROOT / "README.md").read_text()
    return re.search(re.escape(mark) + r".*?```sh\n(.*?)```", text, re.S)[1].strip().splitlines()


def shell(line, **options):
    return subprocess.run(["bash", "-c", line], capture_output=True, text=True, timeout=60, cwd=ROOT, **options)


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    said = tmp_path_factory.mktemp("demo") / "said.txt"
    env = {**os.environ, "TURNPIKE_DEMO_SKIP_BUILD": "1", "BUILD": str(BUILD)}
    with said.open("w") as out:
        process = subprocess.Popen([ROOT / "scripts/run-demo"], stdout=out, stderr=out, env=env, cwd=ROOT,
                                   start_new_session=True)
    try:
        def ready():
            assert process.poll() is None, said.read_text()
            return "curl" in said.read_text() and "200" in shell(
                "curl -s -o /dev/null -w '%{http_code}' " + blocks("run these lines")[0].split("curl -s ")[1]).stdout
        wait_until(ready, "the demo serves", 120)
        yield said
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.wait(30)


def test_the_calls_of_the_readme(demo):
    by_path, by_header, by_query, refused, admin = blocks("run these lines")
    for line in (by_path, by_header, by_query):
        done = shell(line.replace("curl -s", "curl -si"))
        assert done.stdout.startswith("HTTP/1.1 200"), done.stdout
        for header in ("ratelimit-limit: 10000", "ratelimit-remaining:", "x-forecast-api-calls:", "cache-control: max-age=900"):
            assert header in done.stdout.lower()
        assert "application/json" in done.stdout
    done = shell(refused.replace("curl -s", "curl -si"))
    assert done.stdout.startswith("HTTP/1.1 401") and "text/html" in done.stdout
    assert '"data"' in shell(admin).stdout


def test_every_call_that_the_demo_prints_works(demo):
    lines = [line.strip() for line in demo.read_text().splitlines() if line.strip().startswith("curl ")]
    assert len(lines) >= 3
    for line in lines:
        assert shell(line).returncode == 0, line


def test_the_commands_of_an_own_instance(demo, tmp_path):
    start, service, route, stop = (line.replace("./gateway", str(tmp_path / "gateway"))
                                   .replace("build/turnpike", str(BUILD / "turnpike"))
                                   .replace("localhost:8001", "localhost:18801") for line in blocks("in one folder"))
    env = {**os.environ, "TURNPIKE_ADMIN_LISTEN": "127.0.0.1:18801", "TURNPIKE_PROXY_LISTEN": "127.0.0.1:18800",
           "TURNPIKE_ADMIN_GUI_LISTEN": "off", "TURNPIKE_STATUS_LISTEN": "off"}
    pathlib.Path(tmp_path / "gateway").mkdir()
    try:
        done = shell(start, env=env)
        assert done.returncode == 0, done.stderr
        assert '"weather"' in shell(service).stdout
        assert "/weather" in shell(route).stdout.replace("\\/", "/")
    finally:
        done = shell(stop, env=env)
    assert done.returncode == 0
