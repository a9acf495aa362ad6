"""Service hosts by name: the hosts file first, then name servers; and what a caller sees when there is none."""
import socket
import time

from support.gateway import wait_until


def test_names_of_the_hosts_file_are_honoured(own_gateway, origin, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("# comment\n127.0.0.1\tweather.test  Alias.Test\n")
    gateway = own_gateway(settings={"dns_hostsfile": str(hosts)})
    gateway.admin.service(url=f"http://weather.test:{origin.port}", paths=["/a"])
    gateway.admin.service(url=f"http://alias.test:{origin.port}", paths=["/b"])
    assert gateway.get("/a").status == 200
    assert gateway.get("/b").status == 200
    assert origin.requests[0].header("host") == f"weather.test:{origin.port}"


def test_an_unknown_name_is_a_503(own_gateway, name_server):
    gateway = own_gateway(settings={"dns_resolver": f"127.0.0.1:{name_server.port}"})
    gateway.admin.service(url="http://nowhere.test", paths=["/"])
    reply = gateway.get("/")
    assert (reply.status, reply.json()["message"]) == (503, "name resolution failed")


def test_a_name_is_asked_once_and_kept(own_gateway, origin, name_server):
    name_server.names["weather.test"] = "127.0.0.1"
    gateway = own_gateway(settings={"dns_resolver": f"127.0.0.1:{name_server.port}", "nginx_worker_processes": "1"})
    gateway.admin.service(url=f"http://weather.test:{origin.port}", paths=["/"])
    assert [gateway.get("/").status for _ in range(5)] == [200] * 5
    assert name_server.questions.count("weather.test") <= 2  # A, and perhaps AAAA


def test_a_silent_name_server_does_not_hold_other_callers(own_gateway, origin, name_server):
    name_server.silent = True
    gateway = own_gateway(settings={"dns_resolver": f"127.0.0.1:{name_server.port}", "nginx_worker_processes": "1"})
    gateway.admin.service(url="http://slow.test", paths=["/slow"])
    gateway.admin.service(url=origin.url, paths=["/fast"])
    import threading
    statuses = []
    slow = threading.Thread(target=lambda: statuses.append(gateway.get("/slow", timeout=60).status))
    slow.start()
    assert [gateway.get("/fast").status for _ in range(5)] == [200] * 5
    name_server.silent = False
    slow.join(60)
    assert statuses[0] in (500, 503)


def test_a_changed_hosts_file_is_read_again(own_gateway, origin, name_server, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 old.test\n")
    gateway = own_gateway(settings={"dns_hostsfile": str(hosts), "dns_resolver": f"127.0.0.1:{name_server.port}",
                                    "nginx_worker_processes": "1"})
    gateway.admin.service(url=f"http://old.test:{origin.port}", paths=["/old"])
    gateway.admin.service(url=f"http://new.test:{origin.port}", paths=["/new"])
    assert gateway.get("/old").status == 200
    assert gateway.get("/new").status == 503
    replacement = tmp_path / "hosts.new"
    replacement.write_text("127.0.0.1 new.test\n")
    replacement.rename(hosts)
    wait_until(lambda: gateway.get("/new").status == 200, "the new name is known")
    wait_until(lambda: gateway.get("/old").status == 503, "the old name is forgotten")
    hosts.unlink()
    time.sleep(1.1)
    assert gateway.get("/new").status == 200  # better what was known than nothing
    hosts.write_text("127.0.0.1 old.test\n")
    wait_until(lambda: gateway.get("/old").status == 200, "the file is back")


def searching(own_gateway, name_server, **settings):
    return own_gateway(settings={"dns_resolver": f"127.0.0.1:{name_server.port}", "nginx_worker_processes": "1",
                                 "dns_search": "first.test, second.test", **settings})


def test_short_names_are_looked_for_in_the_search_list(own_gateway, origin, name_server):
    name_server.names["web.second.test"] = "127.0.0.1"
    gateway = searching(own_gateway, name_server)
    gateway.admin.service(url=f"http://web:{origin.port}", paths=["/"])
    assert gateway.get("/").status == 200
    assert list(dict.fromkeys(name_server.questions)) == ["web.first.test", "web.second.test"]
    asked = len(name_server.questions)
    assert [gateway.get("/").status for _ in range(5)] == [200] * 5
    assert len(name_server.questions) == asked  # also what does not exist is not asked for again and again


def test_names_with_enough_dots_are_asked_as_they_stand_first(own_gateway, origin, name_server):
    name_server.names.update({"web.test": "127.0.0.1", "app.sub.second.test": "127.0.0.1"})
    gateway = searching(own_gateway, name_server)
    gateway.admin.service(url=f"http://web.test:{origin.port}", paths=["/a"])
    gateway.admin.service(url=f"http://app.sub:{origin.port}", paths=["/b"])
    gateway.admin.service(url=f"http://nowhere:{origin.port}", paths=["/c"])
    assert gateway.get("/a").status == 200
    assert set(name_server.questions) == {"web.test"}
    name_server.questions.clear()
    assert gateway.get("/b").status == 200
    assert list(dict.fromkeys(name_server.questions)) == ["app.sub", "app.sub.first.test", "app.sub.second.test"]
    name_server.questions.clear()
    assert gateway.get("/c").status == 503
    assert list(dict.fromkeys(name_server.questions)) == ["nowhere.first.test", "nowhere.second.test", "nowhere"]


def test_a_name_that_moves_in_the_search_list_is_found_again(own_gateway, origin, name_server):
    name_server.names["web.second.test"] = "127.0.0.1"
    gateway = searching(own_gateway, name_server, dns_ndots="2", nginx_http_resolver_timeout="2s")
    gateway.admin.service(url=f"http://web:{origin.port}", paths=["/"])
    assert gateway.get("/").status == 200
    assert gateway.run("reload").returncode == 0
    name_server.names.clear()
    name_server.names["web"] = "127.0.0.1"
    wait_until(lambda: gateway.get("/").status == 200 and "web" in name_server.questions, "the name is found elsewhere")


def test_a_client_that_leaves_while_a_name_is_looked_for_does_no_harm(own_gateway, origin, name_server):
    name_server.silent = True
    gateway = searching(own_gateway, name_server)
    gateway.admin.service(url=f"http://web:{origin.port}", paths=["/"])
    with socket.create_connection(("127.0.0.1", gateway.proxy_port)) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
        wait_until(lambda: name_server.held, "the question came")
    name_server.names["web.second.test"] = "127.0.0.1"
    name_server.speak()
    assert gateway.get("/").status == 200


def test_localhost_needs_no_line_in_the_hosts_file(own_gateway, origin, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("")
    gateway = own_gateway(settings={"dns_hostsfile": str(hosts)})
    gateway.admin.service(url=f"http://localhost:{origin.port}", paths=["/a"])
    gateway.admin.service(url=f"http://api.localhost:{origin.port}", paths=["/b"])
    assert (gateway.get("/a").status, gateway.get("/b").status) == (200, 200)
