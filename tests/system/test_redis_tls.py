# SPDX-License-Identifier: MIT
"""A Redis that speaks TLS: rediss://, whom we trust, who we are, and what is said when it fails."""

import re
import socket
import threading

import pytest

from certificates import Authority
from harness import BUILD, config, free_port, run_once, wait_for


@pytest.fixture
def authority(folder):
    return Authority(folder)


@pytest.fixture
def make_tls_redis(make_redis, authority):
    """make_tls_redis(certificate and key): (server, its port that speaks TLS). The UNIX socket stays plain, for the test itself."""

    def make(issued, more=""):
        port = free_port()
        server = make_redis(config=f"tls-port {port}\ntls-cert-file {issued[0]}\ntls-key-file {issued[1]}\ntls-ca-cert-file {authority.pem}\n"
                                   + (more or "tls-auth-clients no"))
        return server, port

    return make


def tls(authority, more=""):
    return f"tls_ca_file: {authority.pem}\n{more}"


@pytest.mark.sanitize
def test_calls_come_over_tls(make_tls_redis, authority, make_sim, daemon):
    server, port = make_tls_redis(authority.issue("server"))
    make_sim(server.url, "--calls", 2000, "--beat", "1s")
    daemon.start(config(daemon, f"rediss://localhost:{port}/0", calls=tls(authority)))
    daemon.wait_state("up")
    daemon.wait_total(2000)
    beats = wait_for(lambda: [m["value"] for m in daemon.get("/api/v1/status")["metrics"] if m["metric"] == "heartbeats_total"
                              and m["labels"]["via"] == "pubsub" and m["value"] > 2000])
    assert beats
    server.restart()
    daemon.wait_state("down")
    daemon.wait_state("up", deadline=20)


def test_an_address_is_verified_too(make_tls_redis, authority, daemon):
    _, port = make_tls_redis(authority.issue("server", names="IP:127.0.0.1"))
    daemon.start(config(daemon, f"rediss://127.0.0.1:{port}", calls=tls(authority)))
    daemon.wait_state("up")


def test_a_server_that_wants_our_certificate(make_tls_redis, authority, daemon):
    _, port = make_tls_redis(authority.issue("server"), more="tls-auth-clients yes")
    certificate, key = authority.issue("client", names="DNS:callwatch")
    without = config(daemon, f"rediss://localhost:{port}", calls=tls(authority))
    daemon.start(without, wait=False)
    daemon.wait_state("down", "certificate")
    assert "tls_cert_file" in daemon.state()[1]
    daemon.configure(config(daemon, f"rediss://localhost:{port}", calls=tls(authority, f"tls_cert_file: {certificate}\ntls_key_file: {key}")))
    daemon.hup()
    daemon.wait_state("up", deadline=20)


@pytest.mark.parametrize("case, reason", [
    ("expired", "has expired"),
    ("another name", "is for another name"),
    ("another authority", "of no authority we trust"),
    ("plain", "does this port speak TLS?"),
])
def test_what_is_wrong_is_said_in_words(case, reason, make_tls_redis, authority, folder, daemon):
    other = Authority(folder, "other") if case == "another authority" else authority
    issued = authority.issue("server", names="DNS:elsewhere" if case == "another name" else "DNS:localhost", days=0 if case == "expired" else 2)
    server, port = make_tls_redis(issued)
    daemon.start(config(daemon, f"rediss://localhost:{server.port if case == 'plain' else port}", calls=tls(other)), wait=False)
    daemon.wait_state("down", reason)
    assert f"localhost:{server.port if case == 'plain' else port}" in daemon.state()[1]
    if case == "another name":
        daemon.configure(config(daemon, f"rediss://localhost:{port}", calls=tls(other, "tls_server_name: elsewhere")))
        daemon.hup()
        daemon.wait_state("up", deadline=20)


def test_without_tls_ca_the_systems_authorities_are_asked(make_tls_redis, authority, daemon):
    _, port = make_tls_redis(authority.issue("server"))
    daemon.start(config(daemon, f"rediss://localhost:{port}"), wait=False)
    daemon.wait_state("down", "set tls_ca_file")


def test_a_server_that_is_silent_in_the_handshake(authority, daemon):
    with socket.create_server(("127.0.0.1", 0)) as server:
        daemon.start(config(daemon, f"rediss://localhost:{server.getsockname()[1]}", calls=tls(authority)), wait=False)
        daemon.wait_state("down", "no answer to the TLS handshake")


def test_a_connection_cut_anywhere_in_the_handshake(make_tls_redis, authority, daemon):
    """A few bytes more each time; after the last cut it is up."""
    _, port = make_tls_redis(authority.issue("server"))
    cuts = iter([1, 3, 5, 60, 200, 500, 900, 1200])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=relay, args=(listener, port, cuts), daemon=True).start()
        daemon.start(config(daemon, f"rediss://localhost:{listener.getsockname()[1]}", calls=tls(authority)), wait=False)
        daemon.wait_state("up", deadline=90)
    assert next(cuts, None) is None


def relay(listener, port, cuts):
    """Each connection gets as many bytes of the server's as the next of `cuts` says; all, when there are no more."""
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        server = socket.create_connection(("127.0.0.1", port))
        threading.Thread(target=pump, args=(client, server, None), daemon=True).start()
        threading.Thread(target=pump, args=(server, client, next(cuts, None)), daemon=True).start()


def pump(source, target, limit):
    try:
        while data := source.recv(65536 if limit is None else limit):
            target.sendall(data)
            limit = None if limit is None else limit - len(data)
            if limit == 0:
                break
    except OSError:
        pass
    for end in (source, target):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


@pytest.mark.parametrize("calls, complaint", [
    ("tls_ca: nonsense", "tls_ca holds no certificate in PEM"),
    ("tls_cert_file: CERTIFICATE", "tls_cert and tls_key go together"),
    ("tls_cert_file: CERTIFICATE\ntls_key_file: OTHERKEY", "tls_key holds no private key in PEM that can be used"),
])
def test_certificates_that_are_none_are_refused_with_their_place(calls, complaint, authority, folder):
    certificate, _ = authority.issue("client")
    calls = calls.replace("CERTIFICATE", str(certificate)).replace("OTHERKEY", str(authority.issue("another")[1]))
    text = f"agent: {{ plugin_dir: [{BUILD}/plugins] }}\nplugins:\n  - plugin: redis-calls\n    url: rediss://localhost\n" + "".join(
        f"    {line}\n" for line in calls.split("\n"))
    done = run_once(folder, text, "-t", "--secrets")
    assert done.returncode == 78 and re.search(rf"once.yaml:[56]:\d+: .*{complaint}", done.stderr), done.stderr
    done = run_once(folder, text.replace("rediss:", "redis:"), "-t", "--secrets")
    assert "does not ask for TLS" in done.stderr
