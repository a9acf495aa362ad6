"""The free plan's end: the 10,001st call of a month is refused."""
import pytest


@pytest.mark.slow
def test_the_10001st_call_of_a_month_is_a_429(own_gateway, origin):
    import http.client
    gateway = own_gateway()
    service = gateway.admin.service(url=origin.url, paths=["/"])
    gateway.admin.plugin("key-auth", service=service)
    gateway.admin.plugin("rate-limiting", {"month": 10_000, "calls_header": "X-Forecast-API-Calls"}, service=service)
    gateway.admin.consumer("ann", "k")
    connection = http.client.HTTPConnection("127.0.0.1", gateway.proxy_port, timeout=20)
    statuses = []
    for n in range(10_001):
        connection.request("GET", "/", headers={"apikey": "k"})
        answer = connection.getresponse()
        answer.read()
        statuses.append(answer.status)
        if n % 1000 == 0 and n < 10_000:
            assert answer.headers["X-Forecast-API-Calls"] == str(n + 1)
    assert statuses == [200] * 10_000 + [429]
