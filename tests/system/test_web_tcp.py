# SPDX-License-Identifier: MIT
"""The plugin web on TCP: who may come in, what is told to whom, requests that mean harm, more clients than there is room for; /metrics.

The numbers of test_security_… are those of the list of attacks that the agent has to withstand, of test_fault_… those of the fault matrix."""

import itertools
import json
import os
import re
import shutil
import socket
import subprocess
import threading

import pytest
import yaml

from harness import BUILD, LARGE, SLOWER, TOP, Process, free_port, run_client, run_once, wait_for
from web_raw import SECURITY_HEADERS, Answer, ask, config, dial, raw, read_to_end

@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def quiet(daemon, port):
    """A daemon without a source on one TCP port, that does nothing by itself for a minute."""
    return daemon.start(config(daemon, [f"127.0.0.1:{port}"], interval="1m"))


def load(redis, n=3, business="business"):
    pipe = redis.client.pipeline()
    for i in range(n):
        pipe.hset(f"call_ctx:CA{i}", mapping={"business_id": business, "from_phone_number": "+14155550132",
                                              "start_time": "2026-11-22T13:30:00Z"})
    pipe.execute()


# -- who may -----------------------------------------------------------------------------------------------------------

REFUSED = [
    ("localhost:8470", "an address (no name) with a port"),
    ("127.0.0.1", "an address (no name) with a port"),
    ("127.0.0.1:0", "an address (no name) with a port"),
    ("::1:8470", "an address (no name) with a port"),
    ("unix:relative", "full path"),
    ("10.0.0.5:8470", "is not loopback"),
    ("0.0.0.0:8470", "is not loopback"),
    ("[::]:8470", "is not loopback"),
]


@pytest.mark.parametrize("listen, words", REFUSED)
def test_security_07_what_may_not_be_listened_on_is_told_at_its_place(folder, listen, words):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: web\n    listen: [\"{listen}\"]\n"
    done = run_once(folder, text, "-t")
    assert done.returncode == 78 and words in done.stderr + done.stdout and ":5:" in done.stderr + done.stdout


def test_only_metrics_is_for_tcp_and_needs_no_users(folder):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: web\n    listen: [{{ address: \"%s\", only: %s }}]\n"
    assert run_once(folder, text % ("10.0.0.5:8470", "metrics"), "-t").returncode == 0
    for address, only, words in (("unix:/tmp/x", "metrics", "only is for TCP"), ("10.0.0.5:8470", "everything", "one of metrics")):
        done = run_once(folder, text % (address, only), "-t")
        assert done.returncode == 78 and words in done.stdout + done.stderr


def test_security_07_as_installed_only_loopback_and_unix_sockets_are_listened_on(folder):
    """The vendor's file, and what the plugin does when nothing is said."""
    vendor = yaml.safe_load((TOP / "conf.d/10-web.yaml").read_text())["plugins"][0]["listen"]
    done = subprocess.run([BUILD / "bin/callwatch", "plugins", BUILD / "plugins/web.so"], capture_output=True, text=True, check=True)
    default = yaml.safe_load(re.search(r"^  listen .*?; default (\[.*\])", done.stdout, re.M)[1])
    for item in [*vendor, *default]:
        assert re.fullmatch(r"unix:/\S+|127\.0\.0\.1:\d+|\[::1\]:\d+", item), item


def listening(pid):
    """The TCP addresses on which a process listens."""
    lines = subprocess.run(["ss", "-ltnpH"], capture_output=True, text=True, check=True).stdout.splitlines()
    return {line.split()[3] for line in lines if f"pid={pid}," in line}


def test_security_07_what_is_configured_is_open_and_nothing_else(daemon, port):
    second = free_port()
    daemon.start(config(daemon, [f"127.0.0.1:{port}", f"\"[::1]:{second}\""]))
    assert listening(daemon.pid) == {f"127.0.0.1:{port}", f"[::1]:{second}"}
    assert ask(second, "/-/healthy", host=f"[::1]:{second}", address="::1").status == 200


def test_on_loopback_one_is_a_viewer(redis, daemon, port):
    load(redis)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis))
    daemon.wait_total(3)
    rows = json.loads(ask(port, "/api/v1/tables/calls").body)["rows"]
    assert len(rows) == 3 and all("••••" in row["from_phone"] for row in rows)
    assert json.loads(ask(port, "/api/v1/status").body)["ready"]
    assert ask(port, "/api/v1/tables/calls?reveal=true").status == 403
    assert ask(port, "/api/v1/tables/calls?where=from_phone~415").status == 400, "a viewer does not fish for numbers"
    answer = ask(port, "/-/reload", "POST", ["Content-Type: application/json", "Content-Length: 0"])
    assert answer.status == 403 and answer.problem == "this needs an operator"
    assert not daemon.rows("events", where="kind=reload") and not daemon.rows("events", where="kind=reveal")
    done = run_client(daemon, "calls", "--url", f"http://127.0.0.1:{port}")
    assert done.returncode == 2, "--socket and --url exclude each other"
    done = subprocess.run([BUILD / "bin/callwatch", "--url", f"http://127.0.0.1:{port}", "calls", "--format", "ndjson"],
                          capture_output=True, text=True, timeout=20 * SLOWER)
    assert done.returncode == 0 and done.stdout.count("\n") == 3, done.stderr


def test_a_port_that_is_taken_is_said_and_taken_when_it_is_free(daemon, port):
    with socket.socket() as other:
        other.bind(("127.0.0.1", port))
        other.listen()
        daemon.start(config(daemon, [f"127.0.0.1:{port}"]))
        daemon.wait_state("degraded", f"another process listens on 127.0.0.1:{port}", name="web")
    daemon.wait_state("up", name="web")
    assert ask(port, "/-/healthy").status == 200


def test_security_11_a_listener_for_metrics_serves_nothing_else(redis, daemon, port):
    """Whoever can connect may scrape, and see whether the agent lives; nothing names anything else."""
    load(redis)
    metrics = free_port()
    daemon.start(config(daemon, [f"127.0.0.1:{port}", f"{{ address: \"127.0.0.1:{metrics}\", only: metrics }}"], redis))
    wait_for(lambda: b"callwatch_calls_active{" in ask(metrics, "/metrics").body)
    for target, expected in (("/-/healthy", 200), ("/-/ready", 200), ("/metrics", 200), ("/api/v1/status", 404), ("/api/v1/tables", 404),
                             ("/api/v1/tables/calls", 404), ("/api/v1/tables/calls/CA1", 404), ("/-/reload", 404), ("/", 404)):
        assert ask(metrics, target).status == expected, target
        assert expected == 404 or ask(port, target).status == 200
    everything = b"".join(ask(metrics, target).raw for target in ("/-/healthy", "/-/ready", "/metrics"))
    for secret in (str(daemon.folder).encode(), b"redis://", b"unix:", b"4155550132", b"CA1", b"call_ctx"):
        assert secret not in everything, secret


# -- where from, where to ----------------------------------------------------------------------------------------------

HOSTS = [  # {port}: the port listened on
    ("127.0.0.1:{port}", 200), ("127.0.0.1", 200), ("localhost:{port}", 200), ("LOCALHOST:{port}", 200), ("[::1]:{port}", 200),
    ("testhost:{port}", 200), ("TestHost", 200), ("callwatch.example.net", 200), ("callwatch.example.net:1", 200), ("pinned.example.net:1234", 200),
    ("pinned.example.net:{port}", 421), ("pinned.example.net", 421), ("evil.com", 421), ("evil.com:{port}", 421),
    ("127.0.0.1.evil.com", 421), ("localhost.evil.com:{port}", 421), ("localhost:1", 421), ("localhost:{port}.evil.com", 421),
    ("evil.com#localhost", 421), ("localhost@evil.com", 421), ("user:pw@localhost", 421), ("localhost.", 421), ("127.0.0.2", 421), ("127.1", 421),
    ("2130706433", 421), ("0.0.0.0:{port}", 421), ("[::]:{port}", 421), ("::1", 421), ("[::1", 421), ("localhost,evil.com", 421),
    ("localhost evil.com", 421), ("local\thost", 421), ("xn--lcalhost-c5a", 421), ("a" * 300, 421), ("otherhost:{port}", 421),
]


def test_security_18_a_host_that_is_not_ours_is_misdirected(daemon, port):
    """DNS rebinding: a page under its own name is not answered, wherever it asks; before it is known what there is."""
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options="allowed_hosts: [callwatch.example.net, \"pinned.example.net:1234\"]"))
    for host, expected in HOSTS:
        host = host.replace("{port}", str(port))
        assert ask(port, "/-/healthy", host=host).status == expected, host
        if expected == 421:
            for target in ("/metrics", "/nothing", "/api/v1/tables/calls"):
                assert ask(port, target, host=host).status == 421, (host, target)
    upgrade = ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA=="]
    assert ask(port, "/-/healthy", headers=upgrade, host="evil.com").status == 421, "an upgrade too"
    assert ask(port, "/-/healthy", headers=upgrade).status == 501
    assert ask(port, "/-/healthy", headers=["Host: evil.com"]).status == 400, "twice"
    assert raw(port, b"GET /-/healthy HTTP/1.1\r\n\r\n").status == 400
    assert raw(port, b"GET /-/healthy HTTP/1.1\r\nHost:\r\n\r\n").status in (400, 421)
    assert raw(port, b"GET /-/healthy HTTP/1.0\r\n\r\n").status == 421
    assert daemon.request("GET", "/-/healthy")[0] == 200, "a UNIX socket has no name"


def test_security_02_every_answer_has_the_headers_that_protect_a_browser(quiet, port):
    seen = {}
    requests = {
        200: b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n", 400: b"GET /-/healthy HTTP/1.1\r\n\r\n",
        404: b"GET /nothing HTTP/1.1\r\nHost: localhost\r\n\r\n", 405: b"PUT /-/healthy HTTP/1.1\r\nHost: localhost\r\n\r\n",
        403: b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n\r\n",
        411: b"POST /-/reload HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n",
        414: b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", 421: b"GET / HTTP/1.1\r\nHost: evil\r\n\r\n",
        501: b"GET /-/healthy HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        505: b"GET / HTTP/3.0\r\nHost: localhost\r\n\r\n",
    }
    for status, request in requests.items():
        seen[status] = raw(port, request)
    seen["by the library"] = raw(port, b"GARBAGE\r\n\r\n")
    with dial(port) as s:
        s.sendall(b"GET / HT")
        seen[408] = Answer(read_to_end(s))
    for status, answer in seen.items():
        assert answer.status == status or not isinstance(status, int), (status, answer.raw)
        for name, value in SECURITY_HEADERS.items():
            assert answer.headers.get(name) == value, (status, name, answer.raw)
        assert not any(name.startswith("access-control-") for name in answer.headers), status
        assert "server" not in answer.headers


def test_security_20_no_page_of_another_site_is_let_read(quiet, port):
    """CORS: no preflight is answered as if something was allowed, no origin is named."""
    for origin in ("http://evil.com", "null", f"http://127.0.0.1:{port}", "http://localhost"):
        preflight = ["Origin: " + origin, "Access-Control-Request-Method: POST", "Access-Control-Request-Headers: content-type",
                     "Access-Control-Request-Private-Network: true"]
        for target in ("/-/reload", "/metrics", "/api/v1/tables"):
            answer = ask(port, target, "OPTIONS", preflight)
            assert answer.status in (403, 405) and not any(n.startswith("access-control-") for n in answer.headers), answer.raw
        assert not any(n.startswith("access-control-") for n in ask(port, "/metrics", headers=["Origin: " + origin]).headers)


TRAVERSALS = ["/" + dots * n + "etc/passwd" for n in (1, 3, 8) for dots in (
    "../", "..%2f", "%2e%2e/", "%2e%2e%2f", "..\\", "..%5c", "%2e%2e%5c", "..%252f", "%252e%252e/", "..%c0%af", "%c0%ae%c0%ae/", "..%ef%bc%8f", "....//",
    "..;/", ".%2e/", "%2e./", "..%00/", "..%0d%0a/", "..././", "//", "/./", "..%u2215", "..%2F%2e%2e/", "%25%32%65%25%32%65/", "%uff0e%uff0e/",
    "..%09/", "..%20/", "..?/", "..#/", "-/../", "api/../", "api/v1/tables/../../", "%2f", "%5c")]


def test_security_09_no_file_is_opened_by_what_a_request_says(quiet, port):
    """Answers are made in memory: under strace not one file is opened while 100 encodings of a way out are tried."""
    if shutil.which("strace") is None:
        pytest.skip("needs strace")
    trace = quiet.folder / "trace"
    tracer = Process(quiet.folder, "strace", ["strace", "-f", "-qq", "-e", "trace=open,openat,openat2,execve", "-o", trace, "-p", quiet.pid])
    tasks = f"/proc/{quiet.pid}/task"
    wait_for(lambda: all("TracerPid:\t0\n" not in open(f"{tasks}/{t}/status").read() for t in os.listdir(tasks)), what="strace to be attached")
    assert len(TRAVERSALS) >= 100
    for target in TRAVERSALS:
        answer = raw(port, b"GET " + target.encode() + b" HTTP/1.1\r\nHost: localhost\r\n\r\n", half_close=True)
        assert answer.status in (None, 400, 403, 404), (target, answer.raw[:200])
        assert b"root:" not in answer.raw
    quiet.hup()
    wait_for(lambda: str(quiet.config_path) in trace.read_text(), what="strace to see what is opened")
    tracer.end()
    opened = [line for line in trace.read_text().splitlines() if "open" in line]
    assert str(quiet.config_path) in opened[0], opened[:5]


# -- requests that mean harm -------------------------------------------------------------------------------------------

HOST = b" HTTP/1.1\r\nHost: localhost\r\n"
HOSTILE = {  # what may come back; None: closed without an answer
    b"GET /-/healthy" + HOST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello": {400},
    b"GET /-/healthy" + HOST + b"Content-Length: 5, 6\r\n\r\nhello": {400},
    b"GET /-/healthy" + HOST + b"Content-Length: +5\r\n\r\nhello": {400},
    b"GET /-/healthy" + HOST + b"Content-Length: 0x5\r\n\r\nhello": {400},
    b"GET /-/healthy" + HOST + b"Content-Length: 99999999999999999999\r\n\r\n": {400},
    b"POST /-/reload" + HOST + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": {400},
    b"POST /-/reload" + HOST + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\nGET /-/ready" + HOST + b"\r\n": {400},
    b"POST /-/reload" + HOST + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n": {400},
    b"POST /-/reload" + HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n": {411},
    b"POST /-/reload" + HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n": {400, 403, 411},
    b"POST /-/reload" + HOST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n" + b"x" * 10000: {411},
    b"POST /-/reload" + HOST + b"Transfer-Encoding: chunked\r\n\r\n" + b"1;" + b"e" * 100000 + b"\r\n": {411},
    b"POST /-/reload" + HOST + b"Content-Length: 1000000000\r\n\r\n" + b"x" * 1000000: {403},
    b"POST /-/reload" + HOST + b"Expect: 100-continue\r\nContent-Length: 5\r\n\r\n": {403},
    b"GET /-/healthy" + HOST + b"Host: evil.com\r\n\r\n": {400},
    b"GET /-/healthy" + HOST + b"Authorization: Basic eDp5\r\nAuthorization: Basic eDp6\r\n\r\n": {400},
    b"GET http://localhost/-/healthy" + HOST + b"\r\n": {400, 403},
    b"GET http://evil.com/-/healthy" + HOST + b"\r\n": {400, 403},
    b"GET //evil.com/-/healthy" + HOST + b"\r\n": {404},
    b"GET //-//healthy" + HOST + b"\r\n": {200, 404},
    b"GET /%2e%2e/-/healthy" + HOST + b"\r\n": {200, 400, 403, 404},
    b"GET /-/healthy%00" + HOST + b"\r\n": {None, 400, 403, 404},
    b"GET /-/healthy\x00" + HOST + b"\r\n": {None, 400, 403, 404},
    b"GET /-/healthy HTTP/1.1\r\nHost: local\x00host\r\n\r\n": {None, 400, 403, 421},
    b"GET /-/healthy" + HOST + b"X: a\x00b\r\n\r\n": {None, 200, 400, 403},
    b"GET /-/healthy HTTP/1.1\nHost: localhost\n\n": {None, 200, 400, 403},
    b"GET /-/healthy HTTP/1.1\rHost: localhost\r\r": {None, 400, 403, 408},
    b"GET /-/healthy" + HOST + b" folded: header\r\n\r\n": {200, 400},
    b"GET /-/healthy HTTP/1.1\r\nX: the library takes what follows for its name\r\nHost: localhost\r\n\r\n": {200, 400},
    b"GET /-/healthy" + HOST + b": no name\r\n\r\n": {None, 200, 400, 403},
    b"GET /-/healthy" + HOST + b"X: " + b"a" * 1000000 + b"\r\n\r\n": {None, 431},
    b"GET /-/healthy" + HOST + b"X: y\r\n" * 100000 + b"\r\n": {None, 431},
    b"GET /" + b"a" * 1000000 + HOST + b"\r\n": {None, 414, 431},
    b"GET /-/healthy?" + b"a=b&" * 20000 + HOST + b"\r\n": {None, 400, 414, 431},
    b"GET /-/healthy HTTP/1.1 HTTP/1.1\r\nHost: localhost\r\n\r\n": {400, 505},
    b"GET /-/healthy HTTP/01.1\r\nHost: localhost\r\n\r\n": {400, 505},
    b"GET\t/-/healthy" + HOST + b"\r\n": {None, 400, 403},
    b"G\xc3\x89T /-/healthy" + HOST + b"\r\n": {None, 400, 403},
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 100: {None, 400, 403, 421, 505},
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200: {None, 400, 403},  # TLS where there is none
    b"CONNECT evil.com:443" + HOST + b"\r\n": {None, 400, 403, 405},
    b"TRACE /-/healthy" + HOST + b"Authorization: secret\r\n\r\n": {400, 403, 405, 501},
    b"OPTIONS *" + HOST + b"\r\n": {400, 403, 404, 405},
    b"GET /-/healthy" + HOST + b"Range: bytes=0-" + b",0-" * 1000 + b"\r\n\r\n": {200, None, 431},
    b"GET /-/healthy" + HOST + b"Accept-Encoding: gzip, br, " + b"x," * 2000 + b"\r\n\r\n": {200, None, 431},
    b"GET /metrics" + HOST + b"Accept: " + b"application/openmetrics-text;q=0.5," * 200 + b"\r\n\r\n": {200},
    b"GET /-/healthy" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n": {200, 400, 501},
    (b"GET /-/healthy" + HOST + b"\r\n") * 10000: {200},
}


@pytest.mark.sanitize
def test_fault_59_hostile_requests_over_tcp(quiet, port):
    before, resident = quiet.process.fds(), quiet.process.rss_kib()
    for request, expected in HOSTILE.items():
        answer = raw(port, request, half_close=None in expected)
        assert answer.status in expected, (request[:120], answer.raw[:500])
        assert answer.status is None or len(re.findall(rb"^HTTP/1", answer.raw, re.M)) == 1, "one request, one answer"
        assert answer.status is None or answer.headers.get("x-content-type-options") == "nosniff", request[:120]
        assert b"secret" not in answer.raw, "nothing is echoed"
    assert ask(port, "/-/healthy").status == 200
    wait_for(lambda: quiet.process.fds() <= before + 1, what="the descriptors to be given back")
    assert SLOWER > 1 or quiet.process.rss_kib() - resident < 4096
    assert not quiet.rows("events", where="kind=reload")


def test_fault_39_what_is_sent_to_us_by_a_program_that_is_none_of_ours_changes_nothing(quiet, port):
    """A webhook, of ours or of others, that points to our own port by mistake: an alert as JSON is posted to every route."""
    alert = json.dumps({"version": "4", "status": "firing", "alerts": [{"labels": {"alertname": "call-stale"}}]}).encode()
    head = b"Content-Type: application/json\r\nX-Requested-With: callwatch\r\nContent-Length: " + str(len(alert)).encode() + b"\r\n\r\n"
    for target in (b"/", b"/-/reload", b"/-/healthy", b"/metrics", b"/api/v1/status", b"/api/v1/tables/calls", b"/api/v1/events", b"/api/v2/alerts"):
        for method in (b"POST", b"PUT", b"DELETE"):
            assert raw(port, method + b" " + target + HOST + head + alert).status in (403, 404, 405), (method, target)
    for line in (b"callwatch.testhost.calls.calls_active 1 1700000000\n", b"PUTVAL \"h/callwatch-calls/gauge-x\" N:1\n", b"*1\r\n$4\r\nPING\r\n"):
        assert raw(port, line, half_close=True).status in (None, 400, 403), line
    assert not quiet.rows("events", where="kind=reload") and quiet.state("web")[0] == "up"


# -- more clients than there is room for -------------------------------------------------------------------------------

def flood(port, count, keep):
    """Clients that say nothing, half a request, or do not read; in `keep`. How many were turned away in words."""
    refused = 0
    for i in range(count):
        try:
            s = dial(port, timeout=5)
            s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            if i % 3 == 1:
                s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost: loc")
            elif i % 3 == 2:
                s.sendall(b"GET /api/v1/tables/calls?format=csv HTTP/1.1\r\nHost: localhost\r\n\r\n")
            s.setblocking(False)
            keep.append(s)
        except OSError:
            refused += 1
    for s in keep:
        try:
            refused += s.recv(100).startswith(b"HTTP/1.1 503 ")
        except OSError:
            pass
    return refused


def test_fault_58_a_thousand_clients_on_loopback_keep_no_operator_out(redis, daemon, port):
    """Silent ones, slow ones, ones that do not read: what is more than there is room for is refused, memory stays, the schedule is kept,
    and who comes by the UNIX socket gets in all the time."""
    clients = 10000 if LARGE else 1000
    load(redis, 20000)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis, options="max_connections: 200"), wait=False)
    daemon.wait_ready(60)
    daemon.wait_total(20000, 60)
    resident, kept, refused = daemon.process.rss_kib(), [], []
    thread = threading.Thread(target=lambda: refused.append(flood(port, clients, kept)))
    answered = 0
    thread.start()
    try:
        while thread.is_alive():
            assert run_client(daemon, "status").returncode in (0, 1)
            answered += 1
        assert answered and refused[0] >= clients - 200, "the rest is told so"
        assert SLOWER > 1 or daemon.process.rss_kib() - resident < 200 * 64 + 4096, "64 KiB a connection"
        assert "stuck" not in {row["state"] for row in daemon.rows("instances")}
    finally:
        thread.join()
        for s in kept:
            s.close()
    assert wait_for(lambda: ask(port, "/-/healthy").status == 200, what="room again")


def test_fault_58_one_client_has_many_addresses_in_ipv6_and_one_share(daemon):
    """Twelve connections are TCP's here, six one client's; in a network of its own, where addresses cost nothing."""
    addresses = "ip link set lo up && ip -6 addr add fd00:1::1/64 dev lo nodad && ip -6 addr add fd00:2::1/64 dev lo nodad"
    for i in range(12):
        addresses += f" && ip -6 addr add fd00:1::1:{i:x}/64 dev lo nodad"
    text = config(daemon, ['{ address: "[fd00:1::1]:8470", only: metrics }'], options="max_connections: 16")
    daemon.start(text, wrapper=["unshare", "--net", "sh", "-c", addresses + ' && exec "$@"', "sh"])
    code = (
        "import socket\n"
        "def ask(source):\n"
        "    s = socket.create_connection(('fd00:1::1', 8470), 10, (source, 0))\n"
        "    s.sendall(b'GET /-/healthy HTTP/1.1\\r\\nHost: [fd00:1::1]:8470\\r\\n')\n"  # and no end: it stays
        "    return s\n"
        "kept = [ask(f'fd00:1::1:{i:x}') for i in range(12)]\n"
        "told = [s for s in kept[6:] if s.recv(12) == b'HTTP/1.1 503']\n"
        "other = ask('fd00:2::1')\n"
        "other.sendall(b'\\r\\n')\n"
        "print(len(told), other.recv(12).decode())\n")
    done = subprocess.run(["nsenter", "-t", str(daemon.pid), "-n", "/usr/bin/python3", "-c", code], capture_output=True, text=True, timeout=60 * SLOWER)
    assert done.stdout == "6 HTTP/1.1 200\n", done.stdout + done.stderr


# -- metrics -----------------------------------------------------------------------------------------------------------

HOSTILE_NAMES = [b"plain", b"a\"b\\c\nd", b"\xff\xfe", "‮evil".encode(), b"x" * 300, b"{}=\"", b"# HELP x", "😀".encode(), b"\x1b]0;x\x07"]


def scrape(port, openmetrics=False):
    accept = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5" if openmetrics else "text/plain"
    answer = ask(port, "/metrics", headers=["Accept: " + accept])
    assert answer.status == 200
    text, body = "", answer.body
    while body and answer.headers.get("transfer-encoding") == "chunked":
        size, _, body = body.partition(b"\r\n")
        text += body[:int(size, 16)].decode()
        body = body[int(size, 16) + 2:]
    return text or body.decode()


def test_fault_20_hostile_names_do_not_break_a_scrape(redis, daemon, port):
    """promtool is content with the one format, a strict parser with the other; each name is there once."""
    from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
    from prometheus_client.parser import text_string_to_metric_families as parse_text
    for i, name in enumerate(HOSTILE_NAMES):
        redis.client.hset(f"call_ctx:CA{i}", mapping={"business_id": name, "start_time": "2026-11-22T13:30:00Z"})
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis, calls=", breakdown: { by: business_id, top: 50 }, labels: { \"en v\": x, team: 'a\"b' }"))
    daemon.wait_total(len(HOSTILE_NAMES))
    wait_for(lambda: scrape(port).count("\ncallwatch_business_calls_active{") >= len(HOSTILE_NAMES), what="the breakdown to be told")
    text = scrape(port)
    done = subprocess.run(["promtool", "check", "metrics"], input=text, capture_output=True, text=True)
    assert done.returncode == 0 and not done.stdout + done.stderr, done.stdout + done.stderr
    for families in (parse_text(text), parse_openmetrics(scrape(port, openmetrics=True))):
        families = {family.name: family for family in families}
        businesses = {s.labels["business"]: s for s in families["callwatch_business_calls_active"].samples}
        assert {"plain", "{}=\"", "# HELP x", "😀", "\\u202eevil", "\\x1b]0;x\\x07"} <= set(businesses)
        assert all(s.labels["plugin_instance"] == "calls" and s.labels["team"] == 'a"b' for s in businesses.values())
        assert sum(s.value for s in businesses.values()) == len(HOSTILE_NAMES)
        assert len(businesses) >= len(HOSTILE_NAMES)


def test_gauges_of_a_blind_source_stop_and_its_counters_hold(redis, daemon, port):
    load(redis, 5)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis))
    wait_for(lambda: 'callwatch_calls_active{plugin_instance="calls",health="' in scrape(port))
    redis.stop()
    daemon.wait_state("down", name="calls")
    wait_for(lambda: "callwatch_calls_active{" not in scrape(port), what="the gauge to stop")
    text = scrape(port)
    assert 'callwatch_redis_commands_total{plugin_instance="calls"} ' in text
    assert 'callwatch_alerts_dropped_total{plugin_instance="agent"} 0\n' in text
    assert 'callwatch_instance_up{plugin_instance="calls",role="source"} 0\n' in text


class Prometheus:
    """A real one, with this configuration."""

    def __init__(self, folder, text):
        self.port = free_port()
        path = folder / "prometheus.yml"
        path.write_text(text)
        self.process = Process(folder, "prometheus", ["prometheus", f"--config.file={path}", f"--storage.tsdb.path={folder}/tsdb",
                                                      f"--web.listen-address=127.0.0.1:{self.port}"])

    def query(self, expression):
        """label sets with their values."""
        answer = subprocess.run(["promtool", "query", "instant", "-o", "json", f"http://127.0.0.1:{self.port}", expression],
                                capture_output=True, text=True, check=True)
        return [(found["metric"], float(found["value"][1])) for found in json.loads(answer.stdout)]

    def stop(self):
        self.process.end(deadline=20)


DASHBOARD = json.loads((TOP / "packaging/grafana/callwatch.json").read_text())


def dashboard_queries():
    for panel in DASHBOARD["panels"]:
        for target in panel["targets"]:
            expression = target["expr"]
            for name, value in (("$job", "callwatch"), ("$instance", ".*"), ("$__rate_interval", "30s")):
                expression = expression.replace(name, value)
            yield panel["title"], expression


def test_a_real_prometheus_scrapes_and_answers_with_the_right_number(redis, daemon, folder, port, make_sim):
    """By the scrape configuration that is installed; each query of the dashboard that is installed is one, and finds what it asks for."""
    make_sim(redis.url, "--calls", 40, "--seed", 7, "--load-only")
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis))
    daemon.wait_total(40)
    snippet = (TOP / "packaging/prometheus/callwatch.yml").read_text().replace("127.0.0.1:8470", f"127.0.0.1:{port}").replace("10s", "1s")
    prometheus = Prometheus(folder, snippet)
    try:
        wait_for(lambda: prometheus.query("sum(callwatch_calls_active)")[0][1] == 40, 40, every=0.5, what="Prometheus to know of 40 calls")
        labels = [metric for metric, _ in prometheus.query("callwatch_instance_up")]
        assert {metric["plugin_instance"] for metric in labels} == {"calls", "web"} and all("exported_instance" not in m for m in labels)
        age, timestamp, now = (prometheus.query(q)[0][1] for q in ("callwatch_sweep_age_seconds", "callwatch_sweep_timestamp_seconds", "vector(time())"))
        assert 0 <= age < 60 * SLOWER and now - 120 * SLOWER < timestamp <= now
        buckets = prometheus.query("callwatch_call_duration_seconds_bucket")
        assert any(metric["le"] == "+Inf" for metric, _ in buckets)
        assert prometheus.query("up")[0][1] == 1
        told = scrape(port)
        for title, expression in dashboard_queries():
            prometheus.query(expression)  # it parses
            for name in set(re.findall(r"\b(?:callwatch|process)_\w+", expression)) - {"callwatch_build_info"}:
                assert f"\n{name}{{" in told, (title, name)
    finally:
        prometheus.stop()


def test_the_snippets_for_prometheus_and_grafana_are_valid(folder):
    snippet = (TOP / "packaging/prometheus/callwatch.yml").read_text().replace("/etc/prometheus/", f"{folder}/")
    jobs = itertools.count()
    others = re.sub(r"job_name: callwatch", lambda _: f"job_name: callwatch-{next(jobs)}",
                    "\n".join(line.replace("  # ", "  ", 1) for line in snippet.split("\n") if not re.match(r"  #( From.*)?$", line)))
    for name in ("callwatch-ca.pem", "callwatch.token"):
        (folder / name).write_text("x\n")
    for text in (snippet, others):
        (folder / "prometheus.yml").write_text(text)
        done = subprocess.run(["promtool", "check", "config", folder / "prometheus.yml"], capture_output=True, text=True)
        assert done.returncode == 0, text + done.stdout + done.stderr
    assert next(jobs) == 3
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(ids)) == len(ids) >= 8 and DASHBOARD["title"] == "callwatch" and DASHBOARD["schemaVersion"]
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24 and panel["targets"] and panel["title"]
    assert {v["name"] for v in DASHBOARD["templating"]["list"]} == {"datasource", "job", "instance"}
