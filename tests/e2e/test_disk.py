"""Disks that are full or may not be written, and files that are damaged while the node runs or before it starts."""
import os
import shutil
import subprocess
import tempfile
import pathlib

import pytest

from support.gateway import wait_until
from support.traffic import Traffic


@pytest.fixture
def small_disk():
    """A file system of 24 MB of its own; mounting it takes root."""
    if os.geteuid() != 0:
        pytest.skip("mounting a small file system takes root")
    folder = pathlib.Path(tempfile.mkdtemp(prefix="turnpike-test-disk-"))
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m,mode=755", "tmpfs", folder], capture_output=True, text=True)
    if done.returncode:
        folder.rmdir()
        pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)
    folder.rmdir()


SMALL = {"quota_identities": "1024", "quota_addresses": "1024", "proxy_access_log": "off", "admin_access_log": "off"}


def fill(folder, leave=0):
    """Write until the disk is full."""
    path = folder / "filler"
    with path.open("wb", buffering=0) as out:
        try:
            while True:
                out.write(b"\0" * 65536)
        except OSError:
            pass
        if leave:
            out.truncate(max(0, out.tell() - leave))
    return path


def write_until_refused(gateway, limit=3000):
    """Consumers until one is refused: those that were accepted, and the refusal."""
    kept = []
    for n in range(limit):
        reply = gateway.admin.post("/consumers", {"username": f"c{n}", "custom_id": "x" * 3000 + str(n)})
        if reply.status != 201:
            return kept, reply
        kept.append(reply.json()["id"])
    raise AssertionError("no write was refused")


def try_write(gateway):
    return gateway.admin.post("/consumers", {"username": "after"}).status in (201, 409)


def test_a_full_disk_refuses_writes_clearly_and_keeps_serving(own_gateway, origin, small_disk):
    gateway = own_gateway(prefix=small_disk, settings=SMALL)
    gateway.admin.service(url=origin.url, paths=["/"])
    filler = fill(small_disk)
    with Traffic(gateway) as traffic:
        kept, refused = write_until_refused(gateway)
        assert refused.status in (503, 507), (refused.status, refused.body)
        assert "message" in refused.body and "full" in refused.body["message"], refused.body
        before = {c["id"] for c in gateway.admin.get("/consumers?size=1000").json()["data"]}
        assert before >= set(kept) and len(before) <= len(kept) + 1  # no part of what was refused
    assert traffic.failures == []
    filler.unlink()
    wait_until(lambda: try_write(gateway), "writes work again by themselves")
    for consumer in kept:
        assert gateway.admin.get(f"/consumers/{consumer}").status == 200
    wait_until(lambda: not gateway.admin.get("/status").json()["turnpike"]["read_model"]["fault"], "the fault has gone")


def test_a_full_disk_under_the_read_model_keeps_the_write(own_gateway, origin, small_disk, tmp_path):
    """The database has room, the read model has not: kept, told, retried, served."""
    gateway = own_gateway(prefix=small_disk, settings={**SMALL, "sqlite_path": str(tmp_path / "turnpike.db")})
    gateway.admin.service(url=origin.url, paths=["/"])
    filler = fill(small_disk)
    fault, names = None, []
    for n in range(3000):
        reply = gateway.admin.post("/consumers", {"username": f"c{n}", "custom_id": "x" * 3000 + str(n)})
        assert reply.status == 201, reply.body
        names.append(f"c{n}")
        fault = reply.header("x-turnpike-served")
        if fault:
            break
    assert fault, "the read model fills up"
    status = gateway.admin.get("/status").json()["turnpike"]["read_model"]
    assert "full" in status["fault"] or "space" in status["fault"], status
    assert gateway.get("/").status == 200
    filler.unlink()
    wait_until(lambda: not gateway.admin.get("/status").json()["turnpike"]["read_model"]["fault"], "the feed caught up")
    service = gateway.admin.service(url=origin.url, paths=["/later"])
    assert service["id"] and gateway.get("/later").status == 200
    assert gateway.admin.get(f"/consumers/{names[-1]}").status == 200


def test_a_disk_that_turns_read_only(own_gateway, origin, small_disk):
    """What kernels do after an I/O error: writes are refused and told, reads and traffic go on."""
    gateway = own_gateway(prefix=small_disk, settings=SMALL)
    service = gateway.admin.service(url=origin.url, paths=["/"])

    def remount(how):
        return subprocess.run(["mount", "-o", f"bind,remount,{how}", data], capture_output=True, text=True)
    stop(gateway)
    data = gateway.prefix / "data"
    subprocess.run(["mount", "--bind", data, data], check=True)
    try:
        gateway.start()
        if "busy" in remount("ro").stderr:
            stop(gateway)
            assert remount("ro").returncode == 0
            refused = gateway.run("run")
            assert refused.returncode == 1 and "Read-only file system" in refused.stderr
            return
        refused = gateway.admin.post("/consumers", {"username": "x"})
        assert refused.status in (503, 507) and refused.body["message"]
        assert gateway.get("/").status == 200
        assert gateway.admin.get(f"/services/{service['id']}").status == 200
        remount("rw")
        wait_until(lambda: try_write(gateway), "writes work again")
    finally:
        stop(gateway)
        subprocess.run(["umount", "-l", data], check=True)


def served(gateway, path):
    try:
        return gateway.get(path).status == 200
    except OSError:
        return False


# --- damage


def stop(gateway):
    gateway.process.terminate()
    gateway.process.wait(20)


GARBAGE = b"\xff\x00garbage" * 5000


@pytest.mark.parametrize("content", [b"", b"\xff" * 100, GARBAGE], ids=["empty", "short", "long"])
def test_a_damaged_shared_file_is_made_anew(own_gateway, origin, content):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    files = [p for p in (gateway.prefix / "shared").iterdir() if p.is_file()]
    assert files
    for path in files:
        path.write_bytes(content)
    gateway.start()
    assert gateway.get("/").status == 200
    gateway.admin.service(url=origin.url, paths=["/new"])
    assert gateway.get("/new").status == 200


@pytest.mark.parametrize("content", [b"", b"../../etc\n", b"nothing-like-it", GARBAGE], ids=["empty", "path", "word", "long"])
def test_a_damaged_name_of_the_read_model(own_gateway, origin, content):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    (gateway.prefix / "read/current").write_bytes(content)
    gateway.start()
    assert gateway.get("/").status == 200


def test_a_damaged_settings_file_of_the_workers_is_made_anew(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    found = [p for p in gateway.prefix.rglob("*.json")]
    assert found
    for path in found:
        path.write_bytes(GARBAGE)
    gateway.start()
    assert gateway.get("/").status == 200


def test_a_damaged_database_is_named_and_the_node_serves(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    database = gateway.prefix / "data/turnpike.db"
    good = database.read_bytes()
    for extra in database.parent.glob("turnpike.db-*"):
        extra.unlink()
    database.write_bytes(GARBAGE)
    gateway.wait = False
    gateway.start()
    wait_until(lambda: served(gateway, "/"), "it serves from its read model")
    refused = gateway.admin.post("/consumers", {"username": "x"})
    assert refused.status in (500, 503) and refused.body["message"]
    assert "is not a SQLite database, or is damaged" in gateway.said()
    database.write_bytes(good)
    wait_until(lambda: try_write(gateway), "writes work again")


def test_a_read_model_overwritten_while_it_runs(own_gateway, origin):
    """Workers may die of it; the node comes back by itself, with everything."""
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    path, = (gateway.prefix / "read").glob("*/data.mdb")
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.write(b"\xa5" * size)

    def works():
        try:
            return (gateway.admin.post("/consumers", {"username": "x"}).status in (201, 409)
                    and gateway.get("/").status == 200 and not gateway.admin.get("/status").json()["turnpike"]["read_model"]["fault"])
        except (OSError, KeyError):
            return False
    wait_until(works, "it serves and takes writes", 20)
    gateway.admin.service(url=origin.url, paths=["/new"])
    assert gateway.get("/new").status == 200


def test_a_read_model_truncated_while_it_runs(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    path, = (gateway.prefix / "read").glob("*/data.mdb")
    os.truncate(path, 4096)

    def works():
        try:
            return gateway.admin.post("/consumers", {"username": "x"}).status in (201, 409) and gateway.get("/").status == 200
        except OSError:
            return False
    wait_until(works, "it serves and takes writes", 20)
    gateway.admin.service(url=origin.url, paths=["/new"])
    assert gateway.get("/new").status == 200


def test_a_read_model_removed_while_it_runs(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    for path in (gateway.prefix / "read").iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    assert gateway.get("/").status == 200  # it is mapped
    stop(gateway)
    gateway.start()
    assert gateway.get("/").status == 200
