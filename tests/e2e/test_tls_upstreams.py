"""https upstreams: verification, names, and a pool that never mixes those who verify with those who do not."""
import ssl
import subprocess

import pytest

from support.origins import Origin

pytestmark = pytest.mark.asan


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


# --- Addresses and chains


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class Authority:
    """Certificates on demand, each below another one."""

    def __init__(self, folder):
        self.folder = folder

    def make(self, name, issuer=None, san=None, ca=True):
        """(certificate, key) files."""
        cert, key, request, extensions = (self.folder / f"{name}.{kind}" for kind in ("pem", "key", "csr", "ext"))
        extensions.write_text(f"basicConstraints=critical,CA:{'TRUE' if ca else 'FALSE'}\n"
                              + (f"subjectAltName={san}\n" if san else ""))
        openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", f"/CN={name}",
                "-keyout", key, "-out", request)
        signer = ["-CA", issuer[0], "-CAkey", issuer[1], "-CAcreateserial"] if issuer else ["-signkey", key]
        openssl("x509", "-req", "-in", request, "-days", "2", "-extfile", extensions, "-out", cert, *signer)
        return cert, key


@pytest.fixture
def authority(tmp_path):
    return Authority(tmp_path)


def chain_file(folder, *certificates):
    chain = folder / "chain.pem"
    chain.write_text("".join(c.read_text() for c in certificates))
    return chain


@pytest.mark.parametrize("san, status", [("IP:127.0.0.1", 200), ("IP:127.0.0.2", 502), ("DNS:127.0.0.1", 502),
                                         ("DNS:good.test", 502)])
def test_an_address_is_compared_with_the_addresses_of_the_certificate(own_gateway, authority, san, status):
    root = authority.make("root")
    gateway = own_gateway(settings={"lua_ssl_trusted_certificate": str(root[0])})
    with TlsOrigin(authority.make("leaf", root, san, ca=False)) as server:
        gateway.admin.service(url=server.url, paths=["/"], tls_verify=True, retries=0)
        assert {gateway.get("/").status for _ in range(3)} == {status}
        assert len(server.requests) == (3 if status == 200 else 0)
    if status != 200:
        assert "certificate is refused" in gateway.said() and "mismatch" in gateway.said()


@pytest.mark.parametrize("depth, status", [(0, 502), (1, 502), (2, 200), (None, 502)])
def test_the_depth_counts_the_authorities_between(own_gateway, authority, depth, status, tmp_path):
    """Two intermediates; without a depth nginx's default of one holds."""
    root = authority.make("root")
    first = authority.make("first", root)
    second = authority.make("second", first)
    leaf, key = authority.make("leaf", second, "IP:127.0.0.1", ca=False)
    gateway = own_gateway(settings={"lua_ssl_trusted_certificate": str(root[0])})
    with TlsOrigin((chain_file(tmp_path, leaf, second[0], first[0]), key)) as server:
        gateway.admin.service(url=server.url, paths=["/"], tls_verify=True, tls_verify_depth=depth, retries=0)
        assert gateway.get("/").status == status


def test_a_resumed_session_is_as_good_as_the_one_before(own_gateway, authority):
    """Every answer closes: the next request resumes, and is neither refused nor let through under another name."""
    root = authority.make("root")
    gateway = own_gateway(settings={"lua_ssl_trusted_certificate": str(root[0]), "upstream_keepalive_pool_size": "0"})
    with TlsOrigin(authority.make("leaf", root, "IP:127.0.0.1", ca=False)) as server:
        gateway.admin.service(url=server.url, paths=["/right"], tls_verify=True, retries=0)
        gateway.admin.service(url=f"https://localhost:{server.port}", paths=["/wrong"], tls_verify=True, retries=0)
        for _ in range(4):
            assert gateway.get("/right").status == 200
            assert gateway.get("/wrong").status == 502
