# SPDX-License-Identifier: MIT
"""TLS of the plugin web: what may be listened on with it, what is spoken and what is not, certificates that end and are renewed."""

import hashlib
import json
import os
import re
import ssl
import subprocess
import time

import pytest

from harness import BUILD, SLOWER, free_port, run_client, run_once, wait_for
from web_raw import Answer, ask, config, dial, raw, read_to_end

TOKEN = "cwt_operator-token"
TOKENS = f"tokens: [{{ name: ops, role: operator, token_hash: 'sha256:{hashlib.sha256(TOKEN.encode()).hexdigest()}' }}]"
FILES = "tls_cert_file: cert.pem\ntls_key_file: key.pem"


def openssl(*words, stdin=""):
    done = subprocess.run(["openssl", *map(str, words)], capture_output=True, text=True, input=stdin, timeout=30 * SLOWER)
    return done.stdout + done.stderr


class Authority:
    """A root, an intermediate below it, and certificates of that one; all in one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.root = folder / "root.pem"
        self.new("root", "/CN=root", "-x509", "-days", "30", "-addext", "basicConstraints=critical,CA:TRUE")
        self.sign("middle", "/CN=middle", "root", 30, "basicConstraints=critical,CA:TRUE")

    def new(self, name, subject, *more):
        made = openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", subject, "-keyout", self.folder / f"{name}.key",
                       "-out", self.folder / f"{name}.pem", *more)
        assert (self.folder / f"{name}.pem").exists(), made
        os.chmod(self.folder / f"{name}.key", 0o600)

    def sign(self, name, subject, by, days, extension):
        self.new(name, subject, "-addext", extension)
        (self.folder / "extension").write_text(extension + "\n")
        made = openssl("x509", "-req", "-in", self.folder / f"{name}.pem", "-CA", self.folder / f"{by}.pem", "-CAkey", self.folder / f"{by}.key",
                       "-CAcreateserial", "-days", days, "-extfile", self.folder / "extension", "-out", self.folder / f"{name}.crt")
        os.replace(self.folder / f"{name}.crt", self.folder / f"{name}.pem")
        assert "ok" in made.lower(), made

    def server(self, days=30, names="DNS:localhost,IP:127.0.0.1"):
        """cert.pem with its chain, and key.pem."""
        self.sign("leaf", "/CN=localhost", "middle", days, "subjectAltName=" + names)
        (self.folder / "cert.pem").write_text((self.folder / "leaf.pem").read_text() + (self.folder / "middle.pem").read_text())
        os.replace(self.folder / "leaf.key", self.folder / "key.pem")


@pytest.fixture
def authority(folder):
    made = Authority(folder)
    made.server()
    return made


@pytest.fixture
def port():
    return free_port()


def connect(port, authority, address="127.0.0.1", name="localhost"):
    context = ssl.create_default_context(cafile=authority.root)
    return context.wrap_socket(dial(port, address=address), server_hostname=name)


def get(port, authority, target, headers=(), **where):
    with connect(port, authority, **where) as s:
        s.sendall("\r\n".join([f"GET {target} HTTP/1.1", "Host: localhost", *headers, "", ""]).encode())
        return Answer(read_to_end(s))


def test_security_10_what_is_spoken_and_what_is_not(daemon, authority, port):
    """TLS 1.2 and 1.3 with forward secrecy, the whole chain, no renegotiation, no HTTP/2; in clear nothing at all."""
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=FILES))
    assert get(port, authority, "/-/healthy").status == 200

    def s_client(*words, stdin="Q\n"):
        return openssl("s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", authority.root, "-verify_return_error", *words, stdin=stdin)

    for version in ("-tls1_2", "-tls1_3"):
        said = s_client(version)
        assert "Verify return code: 0 (ok)" in said, said
    for version in ("-tls1", "-tls1_1"):
        assert "Cipher is (NONE)" in s_client(version, "-cipher", "ALL:@SECLEVEL=0"), version
    for weak in ("AES256-SHA", "AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA", "NULL", "EXPORT", "RC4", "3DES", "aNULL", "PSK", "DHE"):
        said = s_client("-tls1_2", "-cipher", weak + ":@SECLEVEL=0")
        assert "Cipher is (NONE)" in said or "no cipher match" in said, (weak, said)
    said = s_client("-tls1_2", stdin="R\nGET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert "RENEGOTIATING" in said and "no renegotiation" in said and "callwatch is alive" not in said, said
    assert "ALPN protocol: http/1.1" in s_client("-alpn", "h2,http/1.1")
    assert "Reused" not in s_client("-tls1_2", "-reconnect"), "no session outlives its connection"
    for request in (b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n\r\n", b"\x16\x03\x01\xff\xff" + b"\x00" * 1000, b"SSH-2.0-x\r\n"):
        answer = raw(port, request, half_close=True)
        assert answer.status is None and b"callwatch" not in answer.raw, answer.raw
    assert get(port, authority, "/-/healthy").status == 200


@pytest.mark.sanitize
def test_big_answers_arrive_whole_and_unread_ones_cost_nothing(daemon, authority, port):
    text = config(daemon, [f"127.0.0.1:{port}"], options=FILES).replace("plugins:\n", "plugins:\n  - { plugin: many, series: 16000 }\n", 1)
    daemon.start(text)

    def whole():
        answer = get(port, authority, "/metrics", ["Accept: application/openmetrics-text"])
        return answer.raw.endswith(b"# EOF\n\r\n0\r\n\r\n") and answer.body.count(b"\ncallwatch_many_") > 15000

    wait_for(whole)
    held = [connect(port, authority) for _ in range(6)]
    for i, s in enumerate(held):
        s.sendall(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n" + b"more" * (i % 2))

    def cpu():
        fields = open(f"/proc/{daemon.pid}/stat").read().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    time.sleep(1)  # what may be filled is filled
    before = cpu()
    time.sleep(1)
    assert cpu() - before < 0.6 * SLOWER, "the loop spins"
    assert get(port, authority, "/-/healthy").status == 200
    for s in held:
        s.close()
    daemon.stop()


def test_who_does_not_go_on_is_let_go(daemon, authority, port):
    """A handshake that does not come, or a head within TLS."""
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=FILES))
    silent, half = dial(port, 40), dial(port, 40)
    half.sendall(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03")
    within = connect(port, authority)
    within.settimeout(40 * SLOWER)
    within.sendall(b"GET / HT")
    for s in (silent, half):
        assert read_to_end(s) == b""
        s.close()
    try:
        assert within.recv(10) == b""
    except (ssl.SSLEOFError, ConnectionResetError):
        pass
    within.close()
    daemon.stop()


def own_address():
    """An address of this machine that is not loopback; None: it has none."""
    lines = subprocess.run(["ip", "-4", "-o", "addr", "show", "scope", "global"], capture_output=True, text=True).stdout
    found = re.search(r"inet (\d+\.\d+\.\d+\.\d+)/", lines)
    return found and found[1]


def test_security_07_beyond_loopback_one_needs_tls_and_a_token(daemon, authority, port):
    address = own_address()
    if not address:
        pytest.skip("this machine has loopback only")
    authority.server(names=f"IP:{address}")
    daemon.start(config(daemon, [f"{address}:{port}"], options=FILES + "\n" + TOKENS))
    where = {"address": address, "name": address}
    bearer = ["Authorization: Bearer " + TOKEN]
    host = ["Host: " + address]

    def status(headers):
        with connect(port, authority, **where) as s:
            s.sendall("\r\n".join(["GET /metrics HTTP/1.1", *headers, "", ""]).encode())
            return Answer(read_to_end(s)).status

    assert status(host) == 401 and status(host + bearer) == 200 and status(["Host: evil.com", *bearer]) == 421
    assert raw(port, b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n", address=address).status is None


def test_security_07_in_clear_beyond_loopback_only_a_listed_proxy_is_let_in(daemon, folder, port):
    address = own_address()
    if not address:
        pytest.skip("this machine has loopback only")
    token = ["Authorization: Bearer " + TOKEN]
    daemon.start(config(daemon, [f"{address}:{port}"], options=TOKENS + "\ntrusted_proxies: [192.0.2.1]"))
    answer = ask(port, "/metrics", headers=token, host=address, address=address)
    assert answer.status == 403 and "trusted_proxies" in answer.problem
    daemon.configure(config(daemon, [f"{address}:{port}"], options=TOKENS + f"\ntrusted_proxies: [192.0.2.1, {address}]"))
    daemon.hup()
    wait_for(lambda: ask(port, "/metrics", headers=token, host=address, address=address).status == 200)
    assert ask(port, "/metrics", host=address, address=address).status == 401


# -- certificates ------------------------------------------------------------------------------------------------------

def serial(port):
    served = openssl("s_client", "-connect", f"127.0.0.1:{port}", stdin="Q\n")
    return openssl("x509", "-noout", "-serial", stdin=served[served.index("-----BEGIN"):])


def test_a_renewed_certificate_is_taken_by_reload(daemon, authority, port):
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=FILES))
    before = serial(port)
    assert b"unchanged" in daemon.request("POST", "/-/reload")[1]
    authority.server()
    daemon.request("POST", "/-/reload")
    wait_for(lambda: serial(port) != before, what="the new certificate to be served")
    (authority.folder / "key.pem").write_text("broken\n")
    status, body = daemon.request("POST", "/-/reload")
    assert status == 422 and "no private key" in body.decode() and "broken" not in body.decode()
    assert get(port, authority, "/-/healthy").status == 200, "the old ones go on"


@pytest.mark.parametrize("days, words", [(9, "expires on 20"), (-1, "expired on 20")])
def test_a_certificate_that_ends_is_said(daemon, authority, port, days, words):
    if days < 0:  # one that has been
        authority.sign("leaf", "/CN=localhost", "middle", 1, "subjectAltName=DNS:localhost")
        made = openssl("x509", "-in", authority.folder / "leaf.pem", "-signkey", authority.folder / "leaf.key", "-days", days, "-out", authority.folder / "cert.pem")
        os.replace(authority.folder / "leaf.key", authority.folder / "key.pem")
        if "BEGIN" not in (authority.folder / "cert.pem").read_text():
            pytest.fail(made)
    else:
        authority.server(days=days)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=FILES))
    daemon.wait_state("degraded", words, name="web")
    assert "callwatch reload" in daemon.state("web")[1]
    done = run_client(daemon, "doctor", "web")
    assert re.search(rf"certificate .*{words}", done.stdout), done.stdout


def test_the_client_verifies_and_says_what_to_do(daemon, authority, folder, port):
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    os.chmod(token, 0o600)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=FILES + "\n" + TOKENS))

    def client(host, *more, **env):
        return subprocess.run([BUILD / "bin/callwatch", "--url", f"https://{host}:{port}", "--token-file", token, *more, "instances", "--format", "json"],
                              capture_output=True, text=True, timeout=30 * SLOWER, env={**os.environ, **env})

    done = client("localhost", "--ca-file", authority.root)
    assert done.returncode == 0 and json.loads(done.stdout)["rows"], done.stderr
    assert client("127.0.0.1", CALLWATCH_CA_FILE=str(authority.root)).returncode == 0
    done = client("localhost")
    assert done.returncode and "not trusted" in done.stderr and "--ca-file" in done.stderr
    done = client("localhost", "--ca-file", token)
    assert done.returncode and "no certificates" in done.stderr
    authority.server(names="DNS:elsewhere.example.net")
    daemon.request("POST", "/-/reload")
    wait_for(lambda: "elsewhere" in openssl("x509", "-noout", "-text", stdin=openssl("s_client", "-connect", f"127.0.0.1:{port}", stdin="Q\n")))
    done = client("localhost", "--ca-file", authority.root)
    assert done.returncode and "not trusted" in done.stderr and "name" in done.stderr


# -- configuration -----------------------------------------------------------------------------------------------------

WRONG = [  # listen, lines, what is said
    ("10.0.0.5:8470", "", "this needs `users` or `tokens`"),
    ("10.0.0.5:8470", "", "this needs TLS"),
    ("10.0.0.5:8470", FILES, "this needs `users` or `tokens`"),
    ("10.0.0.5:8470", TOKENS, "this needs TLS"),
    ("{ address: '10.0.0.5:8470', tls: false }", FILES + "\n" + TOKENS, "this needs TLS"),
    ("{ address: '127.0.0.1:8470', tls: true }", "", "tls needs tls_cert_file"),
    ("{ address: 'unix:/tmp/x', tls: true }", FILES, "tls is for TCP"),
    ("127.0.0.1:8470", "tls_cert_file: cert.pem", "go together"),
    ("127.0.0.1:8470", "tls_key_file: key.pem", "go together"),
    ("127.0.0.1:8470", "tls_cert_file: key.pem\ntls_key_file: key.pem", "tls_cert holds no certificate"),
    ("127.0.0.1:8470", "tls_cert_file: cert.pem\ntls_key_file: middle.key", "tls_key holds no private key"),
    ("127.0.0.1:8470", "tls_cert_file: cert.pem\ntls_key_file: locked.key", "without a password"),
    ("127.0.0.1:8470", "tls_cert_file: cert.pem\ntls_key_file: open.key", "mode 0644"),
]
RIGHT = [
    ("10.0.0.5:8470", FILES + "\n" + TOKENS), ("10.0.0.5:8470", TOKENS + "\ntrusted_proxies: [10.0.0.1]"), ("{ address: '10.0.0.5:8470', only: metrics }", ""),
    ("{ address: '0.0.0.0:8470', only: metrics, tls: true }", FILES), ("{ address: '127.0.0.1:8470', tls: false }", FILES),
]


def try_options(folder, listen, lines, *arguments):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: web\n    listen: [{listen}]\n"
    return run_once(folder, text + "".join(f"    {line}\n" for line in lines.split("\n") if line), "-t", *arguments)


def test_half_of_a_chain_is_none(folder, authority):
    """A file that is being written at the moment of a reload must not be taken for a shorter chain."""
    chain = (folder / "cert.pem").read_text() + authority.root.read_text()
    for text, code in ((chain, 0), (chain[:-200], 78), (chain + "and a word\n", 0)):
        (folder / "chain.pem").write_text(text)
        os.chmod(folder / "chain.pem", 0o600)
        done = try_options(folder, "127.0.0.1:8470", "tls_cert_file: chain.pem\ntls_key_file: key.pem", "--secrets")
        assert done.returncode == code and (code == 0) == ("tls_cert holds no certificate" not in done.stderr), (code, done.stderr)


def test_security_07_what_may_not_be_is_told_at_its_place(folder, authority):
    openssl("ec", "-in", folder / "key.pem", "-aes256", "-passout", "pass:secret", "-out", folder / "locked.key")
    os.chmod(folder / "locked.key", 0o600)
    (folder / "open.key").write_text((folder / "key.pem").read_text())
    os.chmod(folder / "open.key", 0o644)
    for listen, lines, words in WRONG:
        done = try_options(folder, listen, lines, "--secrets")
        said = done.stdout + done.stderr
        assert done.returncode == 78 and words in said and re.search(r":[567]:\d+: ", said), (listen, lines, said)
        assert "BEGIN" not in said
    for listen, lines in RIGHT:
        for more in ((), ("--secrets",)):
            done = try_options(folder, listen, lines, *more)
            assert done.returncode == 0, (listen, lines, done.stdout + done.stderr)
