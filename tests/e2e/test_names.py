"""Service hosts by name: the hosts file first, then name servers; and what a caller sees when there is none."""


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
