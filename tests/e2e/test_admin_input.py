"""Bad input to the Admin API: clear errors that name the field, and no partial effect. Reference: admin-api.md."""
import pytest

pytestmark = pytest.mark.asan

JSON = {"Content-Type": "application/json"}


def refused(reply, status=400):
    assert reply.status == status, (reply.status, reply.body)
    assert isinstance(reply.body, dict) and reply.body.get("message"), reply.body
    return reply.body


def nothing_was_made(gateway, kind="services"):
    assert gateway.admin.get(f"/{kind}").json()["data"] == []


@pytest.mark.parametrize("body", ["{", "", "nonsense", '{"host":"a"', "[1,2", '{"host":"a"}{', '"text"' * 2],
                         ids=range(7))
def test_malformed_json(gateway, body):
    assert refused(gateway.admin.post("/services", body, JSON))["message"] == "Cannot parse JSON body"
    nothing_was_made(gateway)


def test_deeply_nested_json_is_refused_not_followed(gateway):
    refused(gateway.admin.post("/services", '{"a":' * 100_000 + "1" + "}" * 100_000, JSON))
    nothing_was_made(gateway)


@pytest.mark.parametrize("headers", [{"Content-Type": "text/xml"}, {"Content-Type": "APPLICATION/JSON"}, {}], ids=str)
def test_a_wrong_content_type_is_a_415(gateway, headers):
    assert gateway.admin.post("/services", "<a/>", headers).status == 415
    nothing_was_made(gateway)


@pytest.mark.parametrize("value, field, message", [
    ({"host": "a", "nope": 1}, "nope", "unknown field"),
    ({"host": 5}, "host", "expected a string"),
    ({"host": "a", "port": "80"}, "port", "expected an integer"),
    ({"host": "a", "port": 65536}, "port", "value should be between 0 and 65535"),
    ({"host": "a", "port": 1.5}, "port", "expected an integer"),
    ({"host": "a", "retries": -1}, "retries", "value should be between 0 and 32767"),
    ({"host": "a", "retries": 10 ** 30}, "retries", None),
    ({"host": "a", "connect_timeout": 0}, "connect_timeout", "value should be between 1 and 2147483646"),
    ({"host": "a:80"}, "host", "must not have a port"),
    ({"host": "a", "path": "x"}, "path", "should start with: /"),
    ({"host": "a", "protocol": "gopher"}, "protocol", "expected one of: grpc, grpcs, http, https, tcp, tls, tls_passthrough, udp"),
    ({"host": "a", "tags": ["a,b"]}, "tags", None),
    ({"host": "a", "name": "with space"}, "name", None),
    ({}, "host", "required field missing"),
    ({"host": "a", "id": "not-a-uuid"}, "id", "expected a valid UUID"),
    ({"host": "a", "ca_certificates": "x"}, "ca_certificates", "expected an array"),
])
def test_bad_fields_are_named(gateway, value, field, message):
    body = refused(gateway.admin.post("/services", value))
    assert (body["code"], body["name"]) == (2, "schema violation")
    assert field in body["fields"]
    if message:
        assert body["fields"][field] == message
        assert body["message"] == f"schema violation ({field}: {message})"
    nothing_was_made(gateway)


def test_invalid_utf8_is_refused(gateway):
    reply = gateway.admin.request("POST", "/services", JSON, {"__base64": "eyJob3N0IjoiYf8ifQ=="})
    refused(reply)
    nothing_was_made(gateway)


def test_a_nul_byte_in_text_is_refused_or_kept_whole(gateway):
    reply = gateway.admin.post("/consumers", '{"username":"a\\u0000b"}', JSON)
    if reply.status == 201:
        assert reply.json()["username"] == "a\0b"
    else:
        refused(reply)


def test_a_body_over_ten_megabytes_is_a_413(gateway):
    reply = gateway.admin.post("/consumers", '{"username":"' + "x" * (10 * 1024 * 1024) + '"}', JSON)
    assert reply.status == 413
    nothing_was_made(gateway, "consumers")


def test_64_kib_of_headers_are_refused(gateway):
    assert gateway.admin.get("/services", {"X": "a" * 65536}).status == 400


def test_over_a_thousand_arguments(gateway):
    form = "&".join(f"a{i}=1" for i in range(1001))
    reply = gateway.admin.post("/services", form, {"Content-Type": "application/x-www-form-urlencoded"})
    assert refused(reply)["message"] == "Too many arguments"


@pytest.mark.parametrize("path", ["~/(", "~/[", "~/a{2,1}", "~/(?<n>a)(?<n>b"])
def test_an_invalid_regex_is_named(gateway, path):
    body = refused(gateway.admin.post("/routes", {"paths": [path]}))
    assert "paths" in str(body["fields"]) or "@entity" in body["fields"]
    nothing_was_made(gateway, "routes")


def test_forms_with_brackets_and_dots(gateway):
    service = gateway.admin.post("/services", "host=a.test&tags[]=x&tags[]=y&retries=3",
                                 {"Content-Type": "application/x-www-form-urlencoded"}).json()
    assert (service["host"], service["tags"], service["retries"]) == ("a.test", ["x", "y"], 3)
    route = gateway.admin.post("/routes", f"service.id={service['id']}&paths[1]=/a&paths[2]=/b&headers.x-v[]=1",
                               {"Content-Type": "application/x-www-form-urlencoded"}).json()
    assert (route["paths"], route["headers"], route["service"]["id"]) == (["/a", "/b"], {"x-v": ["1"]}, service["id"])


def test_multipart_bodies(gateway):
    body = ("--b\r\nContent-Disposition: form-data; name=\"host\"\r\n\r\nm.test\r\n"
            "--b\r\nContent-Disposition: form-data; name=\"port\"\r\n\r\n8080\r\n--b--\r\n")
    service = gateway.admin.post("/services", body, {"Content-Type": "multipart/form-data; boundary=b"}).json()
    assert (service["host"], service["port"]) == ("m.test", 8080)


def test_uniqueness_references_and_refused_deletes(gateway):
    service = gateway.admin.service(url="http://a.test", name="s", paths=["/a"])
    clash = refused(gateway.admin.post("/services", {"host": "b", "name": "s"}), 409)
    assert (clash["code"], clash["fields"]) == (5, {"name": "s"})
    missing = refused(gateway.admin.post("/routes", {"paths": ["/x"], "service": {
        "id": "00000000-0000-4000-8000-000000000001"}}))
    assert missing["code"] == 4
    referenced = refused(gateway.admin.delete(f"/services/{service['id']}"))
    assert (referenced["code"], referenced["fields"]) == (4, {"@referenced_by": "routes"})


def test_paging_meets_every_row_once(gateway):
    names = {f"user-{n}" for n in range(25)}
    for name in names:
        gateway.admin.create("/consumers", username=name, tags=["even" if int(name[5:]) % 2 == 0 else "odd"])
    seen, path = [], "/consumers?size=7"
    while path:
        page = gateway.admin.get(path).json()
        seen += [c["username"] for c in page["data"]]
        path = page["next"]
    assert sorted(seen) == sorted(names)
    even = gateway.admin.get("/consumers?tags=even&size=1000").json()["data"]
    assert {c["username"] for c in even} == {n for n in names if int(n[5:]) % 2 == 0}
    assert refused(gateway.admin.get("/consumers?size=0"))["code"] == 9
    assert refused(gateway.admin.get("/consumers?offset=%25%25"))["code"] == 7


def test_an_answer_never_shows_a_server_error_for_odd_paths(gateway):
    for path in ["/services/%00", "/services/" + "a" * 5000, "/services/%ff%fe", "/%2e%2e/%2e%2e/etc/passwd", "//",
                 "/services/../status", "/services/a/b/c/d/e/f", "/routes/%", "/plugins/schema/%2e%2e"]:
        assert gateway.admin.get(path).status < 500, path
    for method in ["TRACE", "PROPFIND", "BREW", "CONNECT"]:
        assert gateway.admin.request(method, "/services").status in (400, 405)
