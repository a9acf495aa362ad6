"""Fixtures: `origin` (scripted upstream), `gateway` (a real one, emptied between tests), `own_gateway` (a factory)."""
import contextlib
import pathlib
import shutil
import sys
import tempfile

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "tests"))

from support.gateway import Gateway, free_port  # noqa: E402
from support.names import NameServer  # noqa: E402
from support.origins import Origin, redis_server  # noqa: E402

KINDS = ["plugins", "key-auths", "routes", "services", "consumers"]


@pytest.fixture(scope="session")
def shared_gateway():
    with Gateway() as gateway:
        yield gateway


@pytest.fixture
def gateway(shared_gateway):
    """One gateway for all tests that do not harm it; every test starts with an empty configuration."""
    for kind in KINDS:
        for item in shared_gateway.admin.get(f"/{kind}?size=1000").json()["data"]:
            shared_gateway.admin.delete(f"/{kind}/{item['id']}")
    before = shared_gateway.sanitizer_reports()
    yield shared_gateway
    after = shared_gateway.sanitizer_reports()
    assert after == before, f"a sanitizer reports:\n{after}"


@pytest.fixture
def own_gateway():
    """own_gateway(settings={…}) starts a gateway for this test alone."""
    with contextlib.ExitStack() as stack:
        yield lambda **options: stack.enter_context(Gateway(**options))


@pytest.fixture
def origin():
    with Origin() as server:
        yield server


@pytest.fixture
def redis():
    port = free_port()
    with redis_server(port) as process:
        process.port = port
        yield process


@pytest.fixture
def name_server():
    with NameServer() as server:
        yield server


@pytest.fixture
def tmp_path():
    """A folder for one test that other users may enter, unlike pytest's own: workers run as another user than root."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="turnpike-test-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
