# SPDX-License-Identifier: MIT
"""The client against servers that answer wrongly: garbage, endless, cut, slow, hostile texts. It says so in a sentence and ends.

The server here is a script of bytes on a UNIX socket; what a good answer looks like is the real daemon's to say (test_client.py).
"""

import json
import os
import re
import resource
import signal
import socket
import struct
import subprocess
import threading

import pytest

import harness
from scripted import Server, answer

COLUMNS = [{"name": name, "type": type, "unit": "", "help": "", "watched": name == "health_status", "phone": False, "key": name == "call_sid",
            "wide": False} for name, type in (("instance", "text"), ("call_sid", "text"), ("name", "text"), ("health_status", "choice"),
                                              ("start_time", "time"), ("age_seconds", "age"))]
FRESH = {"as_of": ["2026-11-22T13:00:00.000Z", "2026-11-22T13:00:01.000Z"], "complete": True, "coverage": 1.0, "age_seconds": 1.5}
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
EVIL = "\x1b[2J\x1b]52;c;aGFjaw==\x07\x1b]8;;http://evil\x1b\\x\r\n\t\x9b2J\u202egnp.exe\u2066"


def tables(**more):
    return answer({"tables": [{"name": "calls", "help": "calls", "sort": "", "rows": 1, "columns": COLUMNS, **FRESH, **more}]})


@pytest.fixture
def server(folder):
    made = Server(folder)
    made.on("/api/v1/tables ", tables())
    yield made
    made.close()


def callwatch(server, *arguments, timeout=30, **options):
    done = subprocess.run([harness.BIN / "callwatch", "--socket", server if isinstance(server, str) else str(server.path), *arguments],
                          capture_output=True, text=True, errors="surrogateescape", timeout=timeout * harness.SLOWER, **options)
    assert done.returncode >= 0, done
    assert not harness.SANITIZER_REPORT.search(done.stderr), done.stderr
    assert not CONTROL.search(done.stderr), done.stderr
    return done


@pytest.mark.parametrize("body", [b"", b"garbage", b"[1,2]", b"{\"rows\":[{]}", b"{\"a\":1,\"a\":2}", b"\xff\xfe{}", b"[" * 100000, b"{\"a\":" * 100000,
                                  b"{\"rows\":1e999999}", b"{\"x\":\"\\u0000\"}", b"{\"x\":\"\\ud800\"}"], ids=lambda body: repr(body[:20]))
def test_garbage_is_said_to_be_garbage(server, body):
    server.on("/tables/calls", answer(body)).on("/status", answer(body))
    for arguments in (["calls"], ["status"], ["describe", "calls", "x"]):
        done = callwatch(server, *arguments)
        assert done.returncode == 1
        assert "is not what callwatchd says" in done.stderr
        assert done.stdout == ""


@pytest.mark.parametrize("shape", [{}, {"rows": 1, "columns": 2}, {"rows": [1, None, []], "columns": [1, None, "x"]},
                                   {"rows": [{"call_sid": {"a": 1}, "name": [1], "age_seconds": "x", "health_status": 3}], "columns": ["call_sid", "name",
                                    "age_seconds", "health_status", "unheard_of"], "total": "x", "as_of": 7, "complete": "yes", "age_seconds": []}])
def test_answers_of_another_shape_are_survived(server, shape):
    server.on("/tables/calls", answer(shape)).on("/tables/instances", answer(shape)).on("/status", answer(shape))
    for arguments in (["calls"], ["describe", "calls", "x"], ["status"], ["status", "--check"]):
        assert callwatch(server, *arguments).returncode in (0, 1)


def endless(connection):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n{\"rows\":\"")
    while True:
        connection.sendall(b"x" * 65536)


@pytest.mark.skipif(harness.SANITIZED, reason="a sanitizer needs more address space than the limit")
def test_an_endless_answer_is_cut_at_64_mib(server):
    server.on("/tables/calls", endless)
    done = callwatch(server, "calls", preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (400 << 20, 400 << 20)))
    assert done.returncode == 1
    assert "larger than 64 MiB" in done.stderr


def test_an_endless_refusal_is_cut(server):
    def refuse(connection):
        connection.sendall(b"HTTP/1.1 500 Oops\r\nConnection: close\r\n\r\n")
        while True:
            connection.sendall(b"x" * 65536)

    server.on("/status", refuse)
    done = callwatch(server, "status")
    assert done.returncode == 1
    assert "status 500" in done.stderr


def test_an_answer_cut_in_the_middle_is_an_error_also_when_streamed(server):
    cut = b'{"call_sid":"CA1"}\n{"call_'
    server.on("format=ndjson", answer(cut, length=1000)).on("format=csv", answer(cut, length=1000))
    for format in ("ndjson", "csv"):
        done = callwatch(server, "calls", "--format", format)
        assert done.returncode == 1
        assert done.stdout == cut.decode()
        assert "cut off" in done.stderr
    server.on("/tables/calls", answer(b"{", length=1000))
    assert "cut off" in callwatch(server, "calls").stderr


def test_silence_has_an_end(server):
    stop = threading.Event()
    server.on("/status", lambda connection: stop.wait(60))
    done = callwatch(server, "status")
    stop.set()
    assert done.returncode == 3
    assert "no answer came" in done.stderr


def test_a_trickle_has_an_end(server):
    def trickle(connection):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while not stop.wait(0.3):
            connection.sendall(b" ")

    stop = threading.Event()
    server.on("/status", trickle)
    done = callwatch(server, "status")
    stop.set()
    assert done.returncode == 1
    assert "did not go on" in done.stderr


def test_redirects_are_not_followed(server):
    server.on("/status", b"HTTP/1.1 302 Found\r\nLocation: /api/v1/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    done = callwatch(server, "status")
    assert done.returncode == 1
    assert not [line for line in server.seen if "elsewhere" in line]


def test_hostile_texts_reach_no_terminal(server):
    row = {"instance": EVIL, "call_sid": EVIL, "name": EVIL, "health_status": EVIL, "start_time": EVIL, "age_seconds": EVIL, EVIL: EVIL}
    rows = {"rows": [row], "columns": list(row), "total": 1, **FRESH}
    instance = {"instance": EVIL, "plugin": EVIL, "role": "source", "state": EVIL, "reason": EVIL, "since": EVIL, "next_try": EVIL, "last_ok": EVIL}
    status = {"version": EVIL, "hostname": EVIL, "state": EVIL, "reasons": [EVIL], "instances": [instance], "metrics": [
        {"instance": EVIL, "metric": "sweep_age_seconds", "value": 1}], "tables": [{"name": EVIL, "rows": 1, "counts": {EVIL: 1}, **FRESH}]}
    server.on("/tables/calls", answer(rows)).on("/tables/instances", answer({"rows": [instance]})).on("/status", answer(status))
    server.on("/tables/events", answer({"rows": [{key: EVIL for key in ("time", "kind", "from", "to", "by", "text")}]}))
    for arguments in (["calls"], ["describe", "calls", EVIL], ["status"], ["status", "--check"], ["get"], ["calls", "--help"]):
        done = callwatch(server, *arguments)
        assert not CONTROL.search(done.stdout), (arguments, done.stdout)
    server.on("/api/v1/tables ", tables(name=EVIL, help=EVIL, columns=[{"name": EVIL, "help": EVIL, "choices": [EVIL], "unit": EVIL}]))
    for arguments in (["get"], [EVIL], [EVIL, "--help"], ["nothing"]):
        done = callwatch(server, *arguments)
        assert not CONTROL.search(done.stdout), (arguments, done.stdout)


def test_the_refusal_is_told_line_by_line_without_its_escapes(server):
    problems = [f"a.yaml:3:4: unknown key `f{EVIL}oo`", "b.yaml:1:1: another"]
    refusal = {"title": "x", "status": 422, "detail": "nothing has changed", "problems": problems}
    server.on("/-/reload", answer(refusal, "422 Unprocessable", "application/problem+json"))
    done = callwatch(server, "reload")
    assert done.returncode == 1
    assert "a.yaml:3:4: unknown key" in done.stderr
    assert "\n  b.yaml:1:1: another\n" in done.stderr
    assert server.seen[-1].startswith("POST ")


def reload_event(number, text, by="somebody", to="ok"):
    return {"id": f"{number:016}", "kind": "reload", "to": to, "by": by, "text": text}


def reloads(server, answered, *new):
    """POST leaves these events, each a function of the asker's pid; `answered`: it is answered 202, else the connection is lost."""
    events = [reload_event(1, "an old one")]

    def post(connection):
        pid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]
        events[:0] = [event(pid) for event in new]
        if answered:
            connection.sendall(answer("this listener ends or starts anew", "202 Accepted", "text/plain"))

    server.on("/-/reload", post).on("/tables/events", lambda connection: connection.sendall(answer({"rows": events})))
    return callwatch(server, "reload")


@pytest.mark.parametrize("answered", [True, False])
def test_the_outcome_of_a_reload_that_ended_its_own_listener_is_that_of_its_asker(server, answered):
    done = reloads(server, answered, lambda pid: reload_event(4, "of another", by=f"root, process {pid}0", to="failed"),
                   lambda pid: reload_event(3, "3 unchanged, 1 restarted (web)", by=f"root, process {pid}"),
                   lambda pid: reload_event(2, "of another before", to="failed"))
    assert (done.returncode, done.stdout, done.stderr) == (0, "3 unchanged, 1 restarted (web)\n", "")


def test_the_outcome_of_a_reload_of_nobody_known_is_the_last(server):
    done = reloads(server, True, lambda _: reload_event(3, "a.yaml:1:2: no", to="failed"), lambda _: reload_event(2, "of another before"))
    assert (done.returncode, done.stdout) == (1, "") and "nothing has changed\n  a.yaml:1:2: no" in done.stderr


def test_machine_formats_are_the_servers_own_bytes(server):
    body = b'{"a":  1 ,"b":"\\u001b\xc3\xa4"}\r\n' * 3
    for format in ("json", "ndjson", "csv"):
        server.on("/tables/calls?", answer(body)).on("/tables/calls ", answer(body))
        assert callwatch(server, "calls", "--format", format).stdout.encode(errors="surrogateescape") == body.replace(b"\r\n", b"\n")


def test_a_reader_that_goes_away_is_no_error(server):
    server.on("format=ndjson", endless)
    command = [harness.BIN / "callwatch", "--socket", server.path, "calls", "--format", "ndjson"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(20 * harness.SLOWER) == 0
    assert process.stderr.read() == b""
    process.stderr.close()


def test_a_full_disk_is_an_error(server):
    server.on("format=ndjson", answer(b"{}\n" * 10000))
    with open("/dev/full", "w") as full:
        done = subprocess.run([harness.BIN / "callwatch", "--socket", server.path, "calls", "--format", "ndjson"], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert b"No space left" in done.stderr


class Watch:
    """`calls --watch` whose stdout and stderr grow in lists of lines."""

    def __init__(self, server):
        self.process = subprocess.Popen([harness.BIN / "callwatch", "--socket", server.path, "calls", "--watch"], stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        self.out, self.err = [], []
        for stream, lines in ((self.process.stdout, self.out), (self.process.stderr, self.err)):
            threading.Thread(target=lambda s=stream, to=lines: to.extend(s), daemon=True).start()

    def end(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20 * harness.SLOWER)
        self.process.stdout.close()
        self.process.stderr.close()
        return code


STREAM = b"HTTP/1.1 200 OK\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n"


def test_watch_comes_back_and_keeps_lines_whole(server):
    def cut(connection):
        connection.sendall(STREAM + b'{"op":"reset","seq":0}\n{"op":"put","seq":1,"row":{"call_sid":"CA')

    server.on("watch=true", cut)
    watch = Watch(server)
    harness.wait_for(lambda: sum("watch=true" in line for line in server.seen) >= 3, 30)
    assert watch.end() == 0
    harness.wait_for(lambda: len(watch.out) >= 2)
    assert all(json.loads(line)["op"] == "reset" for line in watch.out)
    assert any("trying again" in line for line in watch.err)
    assert any("is back" in line for line in watch.err)


def test_watch_does_not_take_a_line_without_end(server):
    server.on("watch=true", lambda connection: [connection.sendall(STREAM)] + [connection.sendall(b"x" * 65536) for _ in range(1000)])
    watch = Watch(server)
    harness.wait_for(lambda: any("a line without end" in line for line in watch.err), 20)
    assert watch.end() == 0
    assert watch.out == []


def test_watch_refused_is_not_asked_again(server):
    server.on("watch=true", answer({"detail": "no such column: hue"}, "400 Bad Request", "application/problem+json"))
    done = callwatch(server, "calls", "--watch")
    assert done.returncode == 1
    assert "no such column: hue" in done.stderr


def instance(name, role, state, since="2026-11-22T12:59:00.000Z"):
    return {"instance": name, "plugin": "p", "role": role, "state": state, "reason": "gone", "since": since, "next_try": None, "last_ok": None,
            "queue": None, "dropped": 0, "errors": 0}


def test_only_tables_that_a_blind_source_fills_are_last_known(server):
    def table(name, instances, **more):
        return {"name": name, "help": "", "sort": "", "rows": 1, **FRESH, "age_seconds": 30, "columns": COLUMNS, "instances": instances, **more}

    old = {"as_of": ["2026-11-22T12:58:00.000Z", "2026-11-22T12:58:00.000Z"]}
    entries = [table("calls", ["good"], **old), table("others", ["bad"], **old), table("both", ["bad", "good"], **old), table("links", ["bad"])]
    instances = [instance("good", "source", "up"), instance("bad", "source", "down"), instance("out", "output", "down"), {**instance("new", "output", "starting"), "reason": None}]
    server.on("/api/v1/status", answer({"version": "1", "hostname": "h", "pid": 1, "uptime_seconds": 1, "ready": True, "state": "degraded",
                                        "reasons": [], "instances": instances, "tables": entries, "metrics": []}))
    lines = callwatch(server, "status").stdout.split("platform\n")[1].splitlines()
    worth = {lines[i].split()[0]: lines[i + 1].strip() for i in range(0, len(lines), 2)}
    assert worth["calls"].startswith("complete") and worth["links"].startswith("complete"), worth
    assert worth["others"] == worth["both"] == "✖ LAST KNOWN 30s ago: bad is down"
    assert "no reason" not in callwatch(server, "status").stdout and "✖ bad: gone" in callwatch(server, "status").stdout
    check = callwatch(server, "status", "--check").stdout
    assert ", 1 calls, others not known, both not known, 1 links" in check, check
    server.on("/api/v1/tables ", answer({"tables": entries}))
    server.on("/api/v1/tables/instances", answer({"rows": instances, "columns": [], "total": 3}))
    server.on("/api/v1/tables/calls", answer({"columns": ["instance", "call_sid"], "rows": [], "total": 0, **FRESH}))
    assert "bad" not in callwatch(server, "calls").stdout, "no rows, and none of the blind source's"
    server.on("/api/v1/tables/others", answer({"columns": ["instance", "call_sid"], "rows": [], "total": 0, **FRESH, **old}))
    assert "✖ NOT KNOWN: bad is down since " in callwatch(server, "others").stdout


def test_nobody_there(folder):
    done = callwatch(str(folder / "none.sock"), "status")
    assert done.returncode == 3
    assert "there is no socket" in done.stderr and "Is it running" in done.stderr
    done = callwatch(str(folder / "none.sock"), "status", "--check")
    assert done.returncode == 3
    assert done.stdout.startswith("CALLWATCH UNKNOWN - ") and done.stdout.count("\n") == 1
    assert callwatch(str(folder / "none.sock"), "calls").returncode == 1
    assert "is no command; it may be a table" in callwatch(str(folder / "none.sock"), "calls").stderr
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(folder / "left.sock"))
    left.close()
    assert "nobody listens" in callwatch(str(folder / "left.sock"), "reload").stderr
    assert "can have at most 107" in callwatch("/" + "x" * 200, "status").stderr


def test_not_allowed(server):
    os.chmod(server.path, 0o600)
    os.chmod(server.path.parent, 0o755)

    def become_nobody():
        if os.getuid() == 0:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(65534)
        else:
            os.chmod(server.path, 0)

    try:
        done = callwatch(server, "status", preexec_fn=become_nobody)
    except PermissionError:
        pytest.skip("the build cannot be read by another user")
    assert done.returncode == 3
    assert "permission denied" in done.stderr and "group callwatch" in done.stderr


def test_a_token_is_kept_secret(folder):
    token = folder / "token"
    token.write_text("s3cret\n")
    command = [harness.BIN / "callwatch", "--token-file", token]
    os.chmod(token, 0o644)
    done = subprocess.run([*command, "--url", "http://127.0.0.1:1", "status"], capture_output=True, text=True)
    assert done.returncode == 2 and "can be read by others" in done.stderr
    os.chmod(token, 0o600)
    done = subprocess.run([*command, "--url", "http://callwatch.example.net", "status"], capture_output=True, text=True)
    assert done.returncode == 2 and "in clear" in done.stderr
    done = subprocess.run([*command, "--url", "http://127.0.0.1:1", "status"], capture_output=True, text=True)
    assert done.returncode == 3 and "s3cret" not in done.stderr
