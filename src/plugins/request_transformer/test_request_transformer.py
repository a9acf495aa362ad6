"""request-transformer through the whole gateway, also as a clone before authentication."""
import pytest

pytestmark = pytest.mark.asan


def transformed(gateway, url, config, **route):
    service = gateway.admin.service(url=url, route={"paths": ["/"], **route})
    gateway.admin.plugin("request-transformer", config, service=service)
    return service


def test_headers_query_and_templates(gateway, origin):
    transformed(gateway, origin.url, {
        "remove": {"headers": ["x-gone"]}, "rename": {"headers": ["x-old:X-New"]},
        "replace": {"headers": ["x-here:2"]}, "append": {"querystring": ["q:more"]},
        "add": {"headers": ["x-user:$(headers.x_name or 'nobody')"], "querystring": ["u:$(uri_captures.user)"]},
    }, paths=[r"~/r/(?<user>\w+)"], strip_path=False)
    gateway.get("/r/joe?q=1", {"x-gone": "1", "x-old": "o", "x-here": "1"})
    request = origin.requests[0]
    assert request.header("x-gone") is None and request.header("x-old") is None
    assert (request.header("x-new"), request.header("x-here"), request.header("x-user")) == ("o", "2", "nobody")
    assert request.target == "/r/joe?q=1&q=more&u=joe"


def test_a_template_cannot_inject_a_header(gateway, origin):
    transformed(gateway, origin.url, {"add": {"headers": ["x-copy:$(query_params.v)"]}})
    reply = gateway.get("/?v=a%0d%0aX-Evil:%201")
    for request in origin.requests:
        assert request.header("x-evil") is None
    assert reply.status in (200, 500)


@pytest.mark.parametrize("template", ["$(ERROR())", "$(1 + nil)", "$((function() while true do end end)())",
                                      "$(('x'):rep(1e9))", "$(os.execute('true'))"])
def test_a_bad_template_is_a_500_and_harms_nobody(gateway, origin, template):
    transformed(gateway, origin.url, {"add": {"headers": [f"x-t:{template}"]}})
    assert gateway.get("/").status == 500
    assert gateway.admin.get("/status").status == 200


def test_replace_uri_and_method(gateway, origin):
    transformed(gateway, origin.url, {"http_method": "PUT", "replace": {"uri": "/v2$(uri_captures[0])"}},
                paths=[r"~/(?<a>\w+)/x"], strip_path=False)
    gateway.get("/foo/x?k=1")
    assert origin.requests[0].line == "PUT /v2/foo/x?k=1 HTTP/1.1"


def test_json_bodies(gateway, origin):
    transformed(gateway, origin.url, {"add": {"body": ["new:1"]}, "remove": {"body": ["old"]}})
    gateway.post("/", {"old": 1, "keep": [1, 2]})
    import json
    assert json.loads(origin.requests[0].body) == {"keep": [1, 2], "new": "1"}
    assert int(origin.requests[0].header("content-length")) == len(origin.requests[0].body)


@pytest.mark.parametrize("how", ["clone", "ordering"])
def test_a_key_in_the_path_reaches_key_auth(own_gateway, origin, how):
    """The arrangement that people clone the plugin for, and the same as one field."""
    gateway = own_gateway(settings={"plugins": "bundled,request-transformer_1251"})
    name, fields = ("request-transformer_1251", {}) if how == "clone" else \
        ("request-transformer", {"ordering": {"before": {"access": ["key-auth"]}}})
    service = gateway.admin.service(url=origin.url, route={
        "paths": [r"~/forecast/(?<apikey>[^/]+)/(?<place>.+)$"], "strip_path": False})
    gateway.admin.plugin(name, {"replace": {"uri": "/forecast/$(uri_captures.place)"},
                                "add": {"headers": ["apikey:$(uri_captures.apikey)"]}}, service=service, **fields)
    gateway.admin.plugin("key-auth", {"hide_credentials": True}, service=service)
    gateway.admin.consumer("ann", "the-key")
    assert gateway.get("/forecast/the-key/1,2").status == 200
    assert gateway.get("/forecast/other/1,2").status == 401
    assert [r.target for r in origin.requests] == ["/forecast/1,2"]
    assert origin.requests[0].header("apikey") is None
