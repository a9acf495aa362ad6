"""https upstreams: verification, names, and a pool that never mixes those who verify with those who do not."""
import ssl
import subprocess

import pytest

from support.origins import Origin


@pytest.fixture
def certificate(tmp_path):
    """A self-signed certificate for good.test and 127.0.0.1, as (certificate, key) files."""
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                    "-subj", "/CN=good.test", "-addext", "subjectAltName=DNS:good.test,IP:127.0.0.1",
                    "-keyout", str(key), "-out", str(cert)], check=True, capture_output=True)
    return cert, key


class TlsOrigin(Origin):
    """An origin behind TLS that remembers the server names it was asked for."""

    def __init__(self, files, script=None):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(*map(str, files))
        self.context.sni_callback = lambda sock, name, context: self.names.append(name)
        self.names = []
        super().__init__(script)
        self.url = f"https://127.0.0.1:{self.port}"

    def serve(self, connection):
        try:
            secured = self.context.wrap_socket(connection, server_side=True)
        except (ssl.SSLError, OSError):
            return
        super().serve(secured)


@pytest.fixture
def tls_origin(certificate):
    with TlsOrigin(certificate) as server:
        yield server


def test_without_tls_verify_any_certificate_will_do(gateway, tls_origin):
    gateway.admin.service(url=tls_origin.url, paths=["/"])
    assert gateway.get("/").status == 200


def test_with_tls_verify_an_unknown_authority_is_a_502(gateway, tls_origin):
    gateway.admin.service(url=tls_origin.url, paths=["/"], tls_verify=True, retries=0)
    assert gateway.get("/").status == 502
    assert tls_origin.requests == []


def test_verified_and_unverified_services_never_share_a_connection(gateway, tls_origin):
    """Same host and port: the careless one's open connection must not serve the careful one."""
    gateway.admin.service(url=tls_origin.url, paths=["/careless"])
    gateway.admin.service(url=tls_origin.url, paths=["/careful"], tls_verify=True, retries=0)
    for _ in range(10):
        assert gateway.get("/careless").status == 200
        assert gateway.get("/careful").status == 502


def test_a_trusted_authority_is_accepted_and_its_connections_are_kept(own_gateway, tls_origin, certificate):
    gateway = own_gateway(settings={"lua_ssl_trusted_certificate": str(certificate[0])})
    gateway.admin.service(url=tls_origin.url, paths=["/"], tls_verify=True)
    assert [gateway.get("/").status for _ in range(6)] == [200] * 6
    assert tls_origin.connections <= 2


def test_the_name_in_the_certificate_counts(own_gateway, tls_origin, certificate, tmp_path):
    hosts = tmp_path / "hosts"
    hosts.write_text("127.0.0.1 good.test other.test\n")
    gateway = own_gateway(settings={"lua_ssl_trusted_certificate": str(certificate[0]), "dns_hostsfile": str(hosts)})
    gateway.admin.service(url=f"https://good.test:{tls_origin.port}", paths=["/good"], tls_verify=True, retries=0)
    gateway.admin.service(url=f"https://other.test:{tls_origin.port}", paths=["/other"], tls_verify=True, retries=0)
    assert gateway.get("/good").status == 200
    assert gateway.get("/other").status == 502
    assert "good.test" in tls_origin.names
