# SPDX-License-Identifier: MIT
"""The plugin web in the real agent: routes, requests that mean harm, readers that do not read."""

import csv
import io
import json
import os
import re
import socket
import time

import pytest

from harness import BUILD, SLOWER, config, run_once, wait_for


@pytest.fixture
def platform(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 250, "--seed", 7, "--load-only")
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(250)
    daemon.wait_healthy()
    return daemon


def dial(daemon, timeout=15):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(timeout * SLOWER)
    s.connect(str(daemon.socket))
    return s


def read_to_end(s):
    answer = b""
    while True:
        try:
            piece = s.recv(65536)
        except ConnectionResetError:  # it closed with bytes of ours unread
            return answer
        if not piece:
            return answer
        answer += piece


def raw(daemon, request):
    """The status of the answer to these bytes (None: closed without one), and all of it."""
    with dial(daemon) as s:
        try:
            s.sendall(request)
        except (BrokenPipeError, ConnectionResetError):
            pass
        answer = read_to_end(s)
    return (int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None), answer


def get(daemon, target):
    status, answer = raw(daemon, b"GET " + target.encode() + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    return status, answer.partition(b"\r\n\r\n")[2]


def test_health_readiness_and_reload(platform):
    assert platform.request("GET", "/-/healthy")[0] == 200
    assert platform.request("GET", "/-/ready")[0] == 200
    status, body = platform.request("POST", "/-/reload")
    assert status == 200 and b"unchanged" in body
    platform.configure("plugins:\n  - plugin: nothing-like-this\n  - nonsense: 1\n")
    status, body = platform.request("POST", "/-/reload")
    problem = json.loads(body)
    assert status == 422 and problem["status"] == 422 and problem["type"] == "about:blank"
    assert len(problem["problems"]) >= 2 and all(str(platform.config_path) in p for p in problem["problems"])
    assert platform.total() == 250


def test_tables_and_status(platform):
    tables = {t["name"]: t for t in platform.get("/api/v1/tables")["tables"]}
    assert {"calls", "channels", "instances", "events"} <= set(tables)
    columns = {c["name"]: c for c in tables["calls"]["columns"]}
    assert columns["call_sid"]["key"] and columns["from_phone"]["phone"] and columns["health_status"]["watched"]
    assert columns["health_status"]["choices"] == ["healthy", "warning", "stale"]
    assert sum(tables["calls"]["counts"].values()) == tables["calls"]["rows"] == 250
    wait_for(lambda: platform.table("calls")["complete"], what="the first sweep to end")
    assert platform.table("calls")["as_of"]
    status = platform.get("/api/v1/status")
    assert status["ready"] is True and status["pid"] == platform.pid and status["hostname"] == "testhost"
    assert {i["instance"] for i in status["instances"]} == {"calls", "web"}
    wait_for(lambda: sum(m["value"] for m in platform.get("/api/v1/status")["metrics"]
                         if (m["instance"], m["metric"]) == ("calls", "calls_active")) == 250, what="calls_active to be shown")
    assert "columns" not in status["tables"][0]


def test_degraded_when_a_source_is(platform, redis):
    assert platform.get("/api/v1/status")["state"] == "healthy"
    redis.stop()
    wait_for(lambda: any(r.startswith("calls is down: ") for r in platform.get("/api/v1/status")["reasons"]))
    status = platform.get("/api/v1/status")
    assert status["state"] == "degraded"
    assert [t["rows"] for t in status["tables"] if t["name"] == "calls"] == [250]


def test_pages_follow_each_other_without_gap_or_double(platform):
    seen, cursor, pages = [], None, 0
    while pages < 10:
        answer = platform.table("calls", limit=60, sort="call_sid", **({"cursor": cursor} if cursor else {}))
        seen += [r["call_sid"] for r in answer["rows"]]
        pages += 1
        cursor = answer["next_cursor"]
        if not cursor:
            break
    assert pages == 5 and len(seen) == 250 and seen == sorted(set(seen))


def test_formats_tell_the_same(platform):
    page = {r["call_sid"]: r for r in platform.table("calls")["rows"]}
    lines = {r["call_sid"]: r for r in platform.rows("calls")}
    status, body = platform.request("GET", "/api/v1/tables/calls?format=csv")
    table = list(csv.reader(io.StringIO(body.decode(), newline="")))
    cells = {row[1]: dict(zip(table[0], row)) for row in table[1:]}
    assert status == 200 and len(page) == len(lines) == len(cells) == 250
    for sid, row in page.items():
        assert lines[sid]["from_phone"] == row["from_phone"] and "••••" in row["from_phone"]
        assert cells[sid]["from_phone"] == "'" + row["from_phone"]
        assert cells[sid]["start_time"] == row["start_time"] == lines[sid]["start_time"]
    assert body.count(b"\r\n") == 251


def test_one_row(platform):
    row = platform.table("calls", limit=1)["rows"][0]
    answer = platform.get(f"/api/v1/tables/calls/{row['call_sid']}")
    assert [r["call_sid"] for r in answer["rows"]] == [row["call_sid"]]
    shown = platform.get(f"/api/v1/tables/calls/{row['call_sid']}?reveal=true")["rows"][0]["from_phone"]
    assert "•" not in shown and shown[:2] == row["from_phone"][:2] and shown[-4:] == row["from_phone"][-4:]
    assert platform.request("GET", "/api/v1/tables/calls/nobody")[0] == 404


def test_a_key_of_two_instances_asks_which(redis, make_redis, make_sim, daemon):
    other = make_redis("other")
    for server in (redis, other):
        server.client.hset("call_ctx:CA1", mapping={"business_id": "b", "start_time": "2026-11-22T13:30:00Z"})
    daemon.start(config(daemon, redis.url, more=f"- plugin: redis-calls\n  name: calls-b\n  url: \"{other.url}\""))
    daemon.wait_total(2)
    status, body = daemon.request("GET", "/api/v1/tables/calls/CA1")
    assert status == 409 and "calls, calls-b" in json.loads(body)["detail"]
    assert daemon.get("/api/v1/tables/calls/CA1?instance=calls-b")["rows"][0]["instance"] == "calls-b"


WRONG = [
    ("/", 404), ("/api", 404), ("/api/v1/tables/", 404), ("/api/v1/tables/nothing", 404), ("/api/v1/tables/nothing/x", 404),
    ("/api/v1/tables/calls?where=nonsense", 400), ("/api/v1/tables/calls?where=nothing=1", 400),
    ("/api/v1/tables/calls?where=health_status=purple", 400), ("/api/v1/tables/calls?where=health_reason=~(", 400),
    ("/api/v1/tables/calls?sort=nothing", 400), ("/api/v1/tables/calls?columns=nothing", 400), ("/api/v1/tables/calls?columns=,", 400),
    ("/api/v1/tables/calls?cursor=garbage", 400), ("/api/v1/tables/calls?limit=x", 400), ("/api/v1/tables/calls?limit=99999999999999", 400),
    ("/api/v1/tables/calls?format=xml", 400), ("/api/v1/tables/calls?watch=true", 400), ("/api/v1/tables/calls?at=now", 400),
    ("/api/v1/tables/calls?where=a;b", 400), ("/api/v1/status?pretty=1", 400), ("/-/reload", 405),
    ("/api/v1/tables/calls?" + "&".join(["where=business_id=b"] * 17), 400), ("/api/v1/tables/calls?reveal=1", 400),
]


@pytest.mark.sanitize
def test_wrong_requests_are_told_what_is_wrong(platform):
    for target, expected in WRONG:
        status, body = platform.request("GET", target)
        assert status == expected, (target, status, body)
        problem = json.loads(body)
        assert problem["status"] == expected and problem["detail"] and problem["type"] == "about:blank" and problem["title"], target
    assert "wehre" in json.loads(platform.request("GET", "/api/v1/tables/calls?wehre=a=b")[1])["detail"]


HEAD = b" HTTP/1.1\r\nHost: x\r\n"
HOSTILE = {  # what may come back; None: closed without an answer
    b"": {None},
    b"\r\n" * 100: {None, 400, 403},
    b"\x00" * 1000: {None, 400, 403},
    b"\xff\xfe\xfd" * 500: {None, 400, 403},
    b"GET": {None, 408},
    b"GET / ": {None, 408},
    b"GARBAGE\r\n\r\n": {400, 403, 501},
    b"GET /\r\n\r\n": {400},
    b"GET  HTTP/1.1\r\n\r\n": {None, 400, 403, 404},
    b"get /-/healthy" + HEAD + b"\r\n": {200, 400, 403},
    b"GET /-/healthy HTTP/1.1\r\n\r\n": {400},
    b"GET /-/healthy HTTP/9.9\r\nHost: x\r\n\r\n": {400, 505},
    b"GET /-/healthy HTTP/1.1 x\r\nHost: x\r\n\r\n": {400, 505},
    b"GET /-/healthy XTTP/1.1\r\nHost: x\r\n\r\n": {400},
    b"GET /-/healthy HTTP/1.0\r\n\r\n": {200},
    b"GET http://evil/-/healthy" + HEAD + b"\r\n": {400, 403, 404},
    b"GET //-//healthy" + HEAD + b"\r\n": {200, 404},
    b"GET /../../etc/passwd" + HEAD + b"\r\n": {400, 403, 404},
    b"GET /%2e%2e/%2e%2e/etc/passwd" + HEAD + b"\r\n": {400, 403, 404},
    b"GET /%" + HEAD + b"\r\n": {None, 400, 403},
    b"GET /%0" + HEAD + b"\r\n": {None, 400, 403},
    b"GET /%zz" + HEAD + b"\r\n": {400, 403},
    b"GET /a%00b" + HEAD + b"\r\n": {None, 400, 403, 404},
    b"GET /\x00" + HEAD + b"\r\n": {None, 400, 403, 404},
    b"GET /-/healthy%0d%0aX-Evil:%20y" + HEAD + b"\r\n": {400},
    b"GET /api/v1/tables/calls?where=%00" + HEAD + b"\r\n": {None, 400},
    b"GET /api/v1/tables/calls?where=%ff%fe" + HEAD + b"\r\n": {400},
    b"GET /api/v1/tables/calls?where=%0a" + HEAD + b"\r\n": {400},
    b"GET /api/v1/tables/calls?" + b"&" * 500 + HEAD + b"\r\n": {None, 400},
    b"GET /" + b"a" * 9000 + HEAD + b"\r\n": {414},
    b"GET /api/v1/tables/calls?where=" + b"a" * 9000 + HEAD + b"\r\n": {414},
    b"GET /" + b"a" * 100000 + HEAD + b"\r\n": {None, 414, 431},
    b"GET /-/healthy" + HEAD + b"X: " + b"a" * 100000 + b"\r\n\r\n": {None, 431},
    b"GET /-/healthy" + HEAD + b"X: y\r\n" * 20000 + b"\r\n": {None, 431},
    b"GET /-/healthy" + HEAD + b" folded: header\r\n\r\n": {200, 400},
    b"GET /-/healthy" + HEAD + b"no colon\r\n\r\n": {None, 200, 400},
    b"GET /-/healthy" + HEAD + b"GET /-/ready" + HEAD + b"\r\n": {None, 200, 400},
    b"GET /-/healthy" + HEAD + b"Content-Length: 99999999999999999999\r\n\r\n": {400},
    b"GET /-/healthy" + HEAD + b"Content-Length: -1\r\n\r\n": {400},
    b"POST /-/healthy" + HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": {400},
    b"POST /-/healthy" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n": {411},
    b"POST /-/healthy" + HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000000: {405, 413},
    b"GET /-/healthy" + HEAD + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n": {400, 403, 501},
    b"GET /-/healthy" + HEAD + b"Upgrade: h2c\r\nConnection: Upgrade\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n": {200, 400, 501},
    b"GET /-/healthy" + HEAD + b"Upgrade: tea\r\nConnection: Upgrade\r\n\r\n": {200, 400, 403, 501},
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00" * 100: {None, 400, 403, 505},
    b"CONNECT evil:443" + HEAD + b"\r\n" + b"x" * 1000: {None, 400, 403, 405},
    b"TRACE /" + HEAD + b"\r\n": {400, 403, 404, 405, 501},
    b"OPTIONS *" + HEAD + b"\r\n": {400, 403, 404, 405},
    b"DELETE /api/v1/tables/calls" + HEAD + b"\r\n": {405},
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 200: {None, 400, 403},  # TLS
    (b"GET /-/healthy" + HEAD + b"\r\n") * 1000: {200},
}


@pytest.mark.sanitize
def test_hostile_requests_get_the_right_answer_and_leave_no_trace(platform):
    before = platform.process.fds()
    for request, expected in HOSTILE.items():
        with dial(platform) as s:
            try:
                s.sendall(request)
                if 408 in expected or None in expected:
                    s.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass
            answer = read_to_end(s)
        status = int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.") else None
        assert status in expected, (request[:120], answer[:500])
        assert status is None or len(re.findall(rb"^HTTP/1", answer, re.M)) == 1, "one request, one answer"
        assert status is None or b"x-content-type-options: nosniff" in answer
        assert b"X-Evil" not in answer
    # A head in pieces of one byte is a head.
    with dial(platform) as s:
        for byte in b"GET /-/healthy" + HEAD + b"\r\n":
            s.send(bytes([byte]))
        assert read_to_end(s).startswith(b"HTTP/1.1 200")
    assert platform.total() == 250
    wait_for(lambda: platform.process.fds() <= before + 1, what="the descriptors to be given back")


def test_a_head_that_does_not_arrive_is_answered(platform):
    with dial(platform, 40) as s:
        s.sendall(b"GET /-/healthy HTTP/1.1\r\nHost:")
        assert read_to_end(s).startswith(b"HTTP/1.1 408 ")


def load_many(redis, n):
    pipe = redis.client.pipeline(transaction=False)
    for i in range(n):
        pipe.hset(f"call_ctx:CA{i:032d}", mapping={"business_id": f"business-{i % 50}", "from_phone_number": "+14155550132",
                                                 "to_phone_number": "+14155550199", "start_time": "2026-11-22T13:30:00Z",
                                                 "call_log_id": f"00000000-0000-0000-0000-{i:012d}"})
        if i % 10000 == 9999:
            pipe.execute()
    pipe.execute()


def cpu_seconds(daemon):
    fields = open(f"/proc/{daemon.pid}/stat").read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_readers_that_do_not_read_cost_nothing(redis, daemon):
    """20 unread streams of 20 MB each: memory stays, others are answered, the loop rests; who reads on gets all of it."""
    load_many(redis, 60000)
    daemon.start(config(daemon, redis.url), wait=False)
    daemon.wait_ready(60)
    daemon.wait_total(60000, 60)
    before = daemon.process.rss_kib()
    readers = [dial(daemon, 60) for _ in range(20)]
    for s in readers:
        s.sendall(b"GET /api/v1/tables/calls?format=csv" + HEAD + b"\r\n")
    wait_for(lambda: daemon.request("GET", "/-/healthy")[0] == 200)
    used, settled = cpu_seconds(daemon), 0
    while settled < 3:  # the streams fill what may be filled, then nothing moves
        time.sleep(0.3)
        now = cpu_seconds(daemon)
        settled = settled + 1 if now - used < 0.15 else 0
        used = now
    assert daemon.process.rss_kib() - before < 20 * 512 * (4 if SLOWER > 1 else 1), "512 KiB a reader"
    body = read_to_end(readers[0])
    assert body.endswith(b"0\r\n\r\n") and body.count(b"business-") == 60000
    for s in readers:
        s.close()
    wait_for(lambda: daemon.request("GET", "/-/healthy")[0] == 200)


@pytest.mark.skipif(SLOWER > 1, reason="a sanitizer keeps what is freed")
def test_memory_for_sorting_is_given_back(redis, daemon):
    load_many(redis, 60000)
    daemon.start(config(daemon, redis.url), wait=False)
    daemon.wait_ready(60)
    daemon.wait_total(60000, 60)
    before = daemon.process.rss_kib()
    readers = [dial(daemon, 60) for _ in range(12)]
    for s in readers:
        s.sendall(b"GET /api/v1/tables/calls?format=csv&sort=from_phone" + HEAD + b"\r\n")
    for s in readers:
        assert s.recv(4096).startswith(b"HTTP/1.1 200")
    assert daemon.process.rss_kib() - before > 30000, "all are sorted now"
    for s in readers:
        s.close()
    wait_for(lambda: daemon.process.rss_kib() - before < 15000, what="the memory to be given back")


def test_stop_with_open_streams_is_quick_and_clean(redis, daemon):
    load_many(redis, 30000)
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(30000, 60)
    held = [dial(daemon) for _ in range(12)]
    for i, s in enumerate(held):
        target = b"/api/v1/tables/calls?format=" + (b"csv", b"ndjson", b"ndjson&watch=true")[i % 3]
        s.sendall(b"GET " + target + HEAD + b"\r\n" if i < 11 else b"GET /half")
        if i < 11:
            assert s.recv(10)
    daemon.stop()
    assert not daemon.socket.exists()
    for s in held:
        s.close()


def test_watch_follows_the_table(redis, daemon):
    daemon.start(config(daemon, redis.url, calls="sweep: { max_age: 4s }"))
    with dial(daemon) as s:
        s.sendall(b"GET /api/v1/tables/calls?watch=true&format=ndjson&limit=500&where=business_id=watched" + HEAD + b"\r\n")
        lines, kept = iter_lines(s), {}
        follow(lines, kept)
        assert kept == {}
        redis.client.hset("call_ctx:CAwatched", mapping={"business_id": "watched", "start_time": "2026-11-22T13:30:00Z"})
        redis.client.publish("call_heartbeat", "CAwatched")
        wait_for(lambda: follow(lines, kept) or "CAwatched" in kept, what="the call to appear")
        redis.client.delete("call_ctx:CAwatched")
        wait_for(lambda: follow(lines, kept) or "CAwatched" not in kept, 90, what="the call to go")


def iter_lines(s):
    """The lines of a chunked stream."""
    file = s.makefile("rb")
    while file.readline().strip():
        pass
    rest = b""
    while True:
        size = int(file.readline(), 16)
        if size == 0:
            return
        rest += file.read(size)
        file.readline()
        *lines, rest = rest.split(b"\n")
        yield from (json.loads(line) for line in lines)


def follow(lines, kept):
    """Applies changes up to the next sync or ping."""
    for line in lines:
        if line["op"] == "reset":
            kept.clear()
        elif line["op"] == "put":
            kept[line["row"]["call_sid"]] = line["row"]
        elif line["op"] == "remove":
            kept.pop(line["row"]["call_sid"], None)
        else:
            return


def test_fault_51_without_descriptors_clients_are_refused_and_the_loop_rests(redis, daemon):
    import resource

    daemon.start(config(daemon, redis.url, more="- plugin: web\n  name: web-b\n  listen: [\"unix:%s.b\"]" % daemon.socket))
    first = dial(daemon)  # was there before
    first.sendall(b"GET /api/v1/tables/instances?watch=true&format=ndjson" + HEAD + b"\r\n")
    assert first.recv(10)
    used = daemon.process.fds()

    def refused():  # what was open for a moment only is free again
        nonlocal used
        used = min(used, daemon.process.fds())
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used, used + 1000))
        status, answer = raw(daemon, b"GET /-/healthy" + HEAD + b"\r\n")
        return status == 503 and b"file descriptors" in answer

    wait_for(refused)
    before = cpu_seconds(daemon)
    held = [dial(daemon) for _ in range(30)]
    time.sleep(1)
    assert cpu_seconds(daemon) - before < 0.5, "the accept loop spins"
    assert "file descriptors" in daemon.stderr
    resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (used + 1000, used + 1000))
    for s in held:
        s.close()
    assert wait_for(lambda: daemon.request("GET", "/-/healthy")[0] == 200)
    assert first.recv(1000)
    first.close()


def test_a_living_socket_is_not_stolen(redis, daemon, make_daemon):
    daemon.start(config(daemon, redis.url))
    second = make_daemon("second")
    text = config(second, redis.url).replace(f"unix:{second.socket}", f"unix:{daemon.socket}").replace("/state\n", "/state-b\n")
    second.start(text, wait=False)
    wait_for(lambda: f"another process listens on {daemon.socket}" in second.stderr)
    assert daemon.get("/api/v1/status")["pid"] == daemon.pid
    second.stop()
    assert daemon.socket.exists() and daemon.get("/api/v1/status")["pid"] == daemon.pid


def test_the_socket_of_a_killed_agent_is_taken_over(redis, daemon, make_daemon):
    daemon.start(config(daemon, redis.url))
    daemon.process.kill()
    assert daemon.socket.exists()
    daemon.start(daemon.config_path.read_text())
    assert daemon.get("/api/v1/status")["pid"] == daemon.pid


@pytest.mark.parametrize("listen, words", [
    ("unix:relative", "full path"),
    ("unix:/" + "x" * 200, "at most 107 bytes"),
])
def test_what_cannot_be_listened_on_is_told_at_its_place(daemon, listen, words):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: web\n    listen: [\"{listen}\"]\n"
    done = run_once(daemon.folder, text, "-t")
    assert done.returncode == 78 and words in done.stdout + done.stderr and ":5:" in done.stdout + done.stderr


def test_security_12_strangers_are_refused(redis, daemon):
    """As another user, in no group of ours: the mode keeps them out, and with the mode opened the credentials do."""
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody else")
    daemon.start(config(daemon, redis.url))
    os.chmod(daemon.folder, 0o755)
    os.chmod(daemon.socket, 0o666)

    answer_read, answer_write = os.pipe()
    child = os.fork()
    if child == 0:
        os.setgroups([])
        os.setgid(65534)
        os.setuid(65534)
        with dial(daemon) as s:
            os.write(answer_write, read_to_end(s)[:1000])
        os._exit(0)
    os.waitpid(child, 0)
    answer = os.read(answer_read, 1000)
    os.close(answer_read)
    os.close(answer_write)
    assert answer.startswith(b"HTTP/1.1 403 ") and b"connection: close" in answer
