"""The turnpike command: what it prints, what it refuses. Reference: configuration.md §3."""
import json
import os
import re
import subprocess

import pytest

from support.gateway import TURNPIKE, Gateway, free_port


def run(*arguments, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("KONG_", "TURNPIKE_"))}
    return subprocess.run([str(TURNPIKE), *map(str, arguments)], capture_output=True, text=True, timeout=60,
                          env={**clean, **env})


@pytest.fixture
def settings():
    return {"TURNPIKE_PROXY_LISTEN": f"127.0.0.1:{free_port()}", "TURNPIKE_ADMIN_LISTEN": f"127.0.0.1:{free_port()}",
            "TURNPIKE_STATUS_LISTEN": "off", "TURNPIKE_ADMIN_GUI_LISTEN": "off", "TURNPIKE_NGINX_WORKER_PROCESSES": "1"}


def test_the_life_of_a_background_instance(tmp_path, settings):
    prefix = ["--prefix", tmp_path]
    try:
        assert run("health", *prefix).returncode == 1
        done = run("start", *prefix, **settings)
        assert done.returncode == 0 and "started" in done.stdout + done.stderr
        health = run("health", *prefix)
        assert health.returncode == 0
        assert "nginx.......running" in health.stdout and f"is healthy at {tmp_path}" in health.stdout
        again = run("start", *prefix, **settings)
        assert again.returncode == 1 and "already running" in again.stderr + again.stdout
        assert run("reload", *prefix, **settings).returncode == 0
        assert run("restart", *prefix, **settings).returncode == 0
        assert run("health", *prefix).returncode == 0
    finally:
        stopped = run("stop", *prefix)
    assert stopped.returncode == 0 and "stopped" in stopped.stdout
    gone = run("health", *prefix)
    assert gone.returncode == 1 and "is not running" in gone.stderr + gone.stdout


def test_quit_is_graceful(tmp_path, settings):
    assert run("start", "--prefix", tmp_path, **settings).returncode == 0
    done = run("quit", "--prefix", tmp_path)
    assert done.returncode == 0 and "gracefully" in done.stdout


def test_help_is_complete():
    text = run("--help").stdout
    for command in ["run", "start", "stop", "quit", "reload", "restart", "health", "check", "version", "config",
                    "migrations"]:
        assert re.search(rf"^\s+{command}\b", text, re.M), command
        own = run(command, "--help")
        assert own.returncode == 0 and len(own.stdout) > 40, command


def test_version():
    version = (TURNPIKE.parent.parent / "VERSION")
    done = run("version")
    assert done.returncode == 0
    if version.exists():
        assert version.read_text().strip() in done.stdout
    assert "nginx" in run("version", "-a").stdout


def test_an_unknown_setting_is_named_with_the_nearest_known_one(tmp_path):
    done = run("check", TURNPIKE_PROXY_LISTN="127.0.0.1:1")
    assert done.returncode == 1
    assert "PROXY_LISTN" in done.stderr and "PROXY_LISTEN" in done.stderr
    conf = tmp_path / "turnpike.conf"
    conf.write_text("log_leve = debug\n")
    done = run("check", conf)
    assert done.returncode == 1 and "log_leve" in done.stderr and "log_level" in done.stderr


def test_an_unknown_kong_variable_is_ignored_as_kong_does():
    assert run("check", KONG_NOT_A_SETTING="1").returncode == 0


@pytest.mark.parametrize("name, value, said", [
    ("PROXY_LISTEN", "nonsense", "proxy_listen"), ("LOG_LEVEL", "loud", "log_level has an invalid value: 'loud'"),
    ("TRUSTED_IPS", "1.2.3.4/99", "trusted_ips"), ("PLUGINS", "bundled,no-such-plugin", "no-such-plugin"),
    ("READ_MODEL_MAP_SIZE", "lots", "read_model_map_size"), ("HEADERS", "nope", "headers: invalid entry 'nope'"),
    ("NGINX_HTTP_GZIP", "on;} evil {", "nginx_http_gzip"),
])
def test_malformed_settings_are_errors_that_name_them(tmp_path, settings, name, value, said):
    done = run("start", "--prefix", tmp_path, **{**settings, f"TURNPIKE_{name}": value})
    assert done.returncode == 1
    assert said in done.stderr, done.stderr


def test_config_show_tells_where_each_setting_comes_from(tmp_path):
    conf = tmp_path / "turnpike.conf"
    conf.write_text("log_level = info\nreal_ip_header = X-Forwarded-For # trailing comment\n")
    done = run("config", "show", "-c", conf, TURNPIKE_LOG_LEVEL="debug", KONG_PG_PASSWORD="secret-word")
    lines = {line.split()[0]: line for line in done.stdout.splitlines() if line.strip()}
    assert done.returncode == 0
    assert "debug" in lines["log_level"] and "TURNPIKE_LOG_LEVEL" in lines["log_level"]
    assert "X-Forwarded-For" in lines["real_ip_header"] and str(conf) in lines["real_ip_header"]
    assert "default" in lines["router_flavor"]
    assert "secret-word" not in done.stdout and "KONG_PG_PASSWORD" in lines["pg_password"]


def test_turnpike_variables_win_over_kongs():
    done = run("config", "show", TURNPIKE_LOG_LEVEL="debug", KONG_LOG_LEVEL="error")
    assert re.search(r"^log_level\s.*debug", done.stdout, re.M)


def test_migrations(tmp_path):
    prefix = ["--prefix", tmp_path]
    before = run("migrations", "status", *prefix)
    assert run("migrations", "up", *prefix).returncode == 0
    after = run("migrations", "status", *prefix)
    assert after.returncode == 0 and before.stdout != after.stdout
    assert "up-to-date" in run("migrations", "up", *prefix).stdout


def test_bulk_import_is_checked_before_it_counts(tmp_path, settings):
    lines = [{"consumers": {"id": f"00000000-0000-4000-8000-{n:012d}", "username": f"u{n}"}} for n in range(500)]
    lines += [{"keyauth_credentials": {"consumer": {"username": f"u{n}"}, "key": f"k{n}"}} for n in range(500)]
    good, bad = tmp_path / "good.jsonl", tmp_path / "bad.jsonl"
    good.write_text("".join(json.dumps(line) + "\n" for line in lines))
    bad.write_text(json.dumps({"consumers": {"username": "new"}}) + "\n" + json.dumps({"consumers": {"usernam": "x"}}) + "\n")
    prefix = tmp_path / "instance"
    with Gateway(prefix=make(prefix)) as gateway:
        done = gateway.run("config", "import", str(bad))
        assert done.returncode == 1 and "line 2" in done.stderr and "usernam" in done.stderr
        assert gateway.admin.get("/consumers").json()["data"] == []
        done = gateway.run("config", "import", str(good))
        assert done.returncode == 0, done.stderr
        assert len(gateway.admin.get("/consumers?size=1000").json()["data"]) == 500
        assert gateway.admin.get("/key-auths/k499").status == 200


def make(folder):
    folder.mkdir()
    return folder


def test_secrets_are_not_in_process_titles_nor_in_nginx_environment(own_gateway):
    gateway = own_gateway(environment={"KONG_PG_PASSWORD": "hidden-from-all"})
    master = gateway.pid_of("master")
    for pid in [gateway.process.pid, *gateway.children(), *gateway.children(master)]:
        assert b"hidden-from-all" not in open(f"/proc/{pid}/cmdline", "rb").read()
    assert b"hidden-from-all" not in open(f"/proc/{master}/environ", "rb").read()
