"""Full disks, damaged files, two instances on one prefix."""
import pathlib
import shutil

import pytest

from support.gateway import Gateway, wait_until

pytestmark = pytest.mark.asan


def environment_files(gateway):
    return sorted((gateway.prefix / "read").glob("*/data.mdb"))


def stop(gateway):
    gateway.process.terminate()
    gateway.process.wait(20)


def truncate(path):
    path.write_bytes(path.read_bytes()[:5000])


def overwrite(path):
    data = bytearray(path.read_bytes())
    data[8192:] = b"\xa5" * len(data[8192:])
    path.write_bytes(bytes(data))


def garbage(path):
    path.write_bytes(b"\xff" * 100_000)


def remove(path):
    path.unlink()


@pytest.mark.parametrize("damage", [truncate, overwrite, garbage, remove])
def test_a_damaged_read_model_is_rebuilt(own_gateway, origin, damage):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    for path in environment_files(gateway):
        damage(path)
    gateway.start()
    assert gateway.get("/").status == 200


def test_a_read_model_of_another_database_is_rebuilt(own_gateway, origin):
    one, two = own_gateway(), own_gateway()
    one.admin.service(url=origin.url, paths=["/one"])
    two.admin.service(url=origin.url, paths=["/two"])
    stop(one)
    stop(two)
    shutil.rmtree(two.prefix / "read")
    shutil.copytree(one.prefix / "read", two.prefix / "read")
    two.start()
    assert two.get("/two").status == 200
    assert two.get("/one").status == 404


def test_it_starts_and_serves_without_its_database(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/"])
    stop(gateway)
    database = gateway.prefix / "data/turnpike.db"
    database.rename(database.with_suffix(".away"))
    database.mkdir()  # neither there nor to be made
    gateway.wait = False
    gateway.start()

    def served():
        try:
            return gateway.get("/").status == 200
        except OSError:
            return False
    wait_until(served, "it serves")
    refused = gateway.admin.post("/consumers", {"username": "x"})
    assert refused.status == 503 and refused.header("retry-after")
    assert gateway.admin.get("/status").json()["database"]["reachable"] is False
    database.rmdir()
    database.with_suffix(".away").rename(database)
    wait_until(lambda: gateway.admin.post("/consumers", {"username": "x"}).status in (201, 409), "writes work again")


@pytest.mark.slow
def test_a_full_read_model_loses_nothing(own_gateway, origin):
    gateway = own_gateway(settings={"read_model_map_size": "1m"})
    gateway.admin.service(url=origin.url, paths=["/"])
    kept, fault = [], None
    for n in range(4000):
        reply = gateway.admin.post("/consumers", {"username": f"consumer-{n}", "custom_id": "x" * 200 + str(n)})
        assert reply.status == 201, reply.body
        kept.append(reply.json()["id"])
        if reply.header("x-turnpike-served"):
            fault = reply
            break
    assert fault is not None, "a map of 1 MB fills up"
    assert "full" in gateway.admin.get("/status").json()["turnpike"]["read_model"]["fault"]
    assert gateway.get("/").status == 200
    stop(gateway)
    gateway.settings["read_model_map_size"] = "1g"
    gateway.start()
    assert gateway.admin.get(f"/consumers/{kept[-1]}").status == 200
    assert not gateway.admin.get("/status").json()["turnpike"]["read_model"]["fault"]


def test_a_second_instance_on_the_prefix_is_refused_by_name(own_gateway):
    gateway = own_gateway()
    done = gateway.run("start")
    assert done.returncode == 1
    assert str(gateway.process.pid) in done.stderr + done.stdout
    other = Gateway(prefix=gateway.prefix)
    assert other.run("run").returncode == 1
    assert gateway.get("/").status == 404  # untouched


def test_two_instances_run_side_by_side(own_gateway, origin):
    one, two = own_gateway(), own_gateway()
    one.admin.service(url=origin.url, paths=["/"])
    assert (one.get("/").status, two.get("/").status) == (200, 404)


def test_everything_stays_inside_the_prefix(own_gateway):
    gateway = own_gateway()
    for pid, line in gateway.children().items():
        for fd in pathlib.Path(f"/proc/{pid}/fd").iterdir():
            try:
                target = str(fd.readlink())
            except OSError:
                continue
            if target.startswith("/") and not target.startswith(("/dev/", "/proc/", "/usr/", "/memfd")):
                assert target.startswith(str(gateway.prefix)), f"{line} holds {target}"


def test_a_route_whose_plugin_this_node_lacks_is_closed_not_open(own_gateway, origin):
    gateway = own_gateway()
    gateway.admin.service(url=origin.url, paths=["/free"])
    guarded = gateway.admin.service(url=origin.url, paths=["/guarded"])
    gateway.admin.plugin("key-auth", service=guarded)
    stop(gateway)
    gateway.settings["plugins"] = "rate-limiting"
    gateway.start()
    assert (gateway.get("/free").status, gateway.get("/guarded").status) == (200, 500)
    assert "this node has no plugin of this name" in gateway.said()
