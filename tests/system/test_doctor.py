# SPDX-License-Identifier: MIT
"""`callwatch doctor` and `config diff`, end to end: the rungs of instances that work, that are silent, that hang; a callwatchd that is not there."""

import contextlib
import json
import os
import pwd
import re
import shutil
import socket
import subprocess

import pytest

from harness import BIN, BUILD, SLOWER, Terminal, UnixConnection, wait_for

WELL = ["loop ok", "state ok", "readings ok", "first ok", "second ok", "third ok"]


def configuration(daemon, plugins, agent=""):
    """A daemon with test plugins: lines of YAML below `plugins:`."""
    return (f"agent:\n  hostname: testhost\n  interval: 1s\n  state_dir: {daemon.folder}/state\n{agent}"
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n" + plugins + f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")


def checked(name, second):
    return f"  - {{ plugin: checked, name: {name}, second: {second} }}\n"


def findings(document, instance):
    """`check verdict` of each rung of an instance."""
    [found] = [i for i in document["instances"] if i["instance"] == instance]
    return [f"{c['check']} {c['verdict']}" for c in found["checks"]]


def text_of(document, instance, check):
    return next(c["text"] for i in document["instances"] if i["instance"] == instance for c in i["checks"] if c["check"] == check)


def doctor(client, *arguments, code=0, **options):
    done = client("doctor", "--format", "json", *arguments, timeout=60, **options)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout)


@pytest.mark.sanitize
def test_rungs_that_hold_are_told_in_order(daemon, client):
    daemon.start(configuration(daemon, checked("a", "ok") + checked("b", "warning")))
    document = doctor(client)
    assert document["broken"] == []
    assert [i["instance"] for i in document["instances"]][0] == "callwatchd"
    assert {i["instance"] for i in document["instances"]} == {"callwatchd", "a", "b", "web"}
    assert findings(document, "a") == WELL
    assert findings(document, "b") == [w.replace("second ok", "second warning") for w in WELL]
    assert findings(document, "web")[:3] == ["loop ok", "state ok", "queue ok"]
    one = doctor(client, "a")
    assert [i["instance"] for i in one["instances"]] == ["callwatchd", "a"]


def test_the_table_has_a_word_and_a_shape_and_names_the_broken_rung(daemon, client):
    daemon.start(configuration(daemon, checked("a", "failed") + checked("b", "warning")))
    done = client("doctor")
    assert done.returncode == 1
    lines = done.stdout.split("\n")
    words = {line.split()[1]: line.split()[0] for line in lines if line.startswith("  ")}
    assert words == {"ok": "●", "warning": "▲", "failed": "✖", "not": "–"}
    assert "✖ a is broken at `second`: what second was found: <b>&\\x1b[31m" in lines
    assert "nothing is broken" not in done.stdout
    assert "\x1b" not in done.stdout  # not a terminal: no colours, and the plugin's own are made visible


def test_the_answer_is_the_same_as_lines_and_as_a_document(daemon):
    daemon.start(configuration(daemon, checked("a", "failed")))
    document = daemon.get("/api/v1/doctor/a")
    status, body = daemon.request("GET", "/api/v1/doctor/a?format=ndjson")
    assert status == 200
    lines = [json.loads(line) for line in body.decode().splitlines()]
    [instance] = document["instances"]
    assert instance["plugin"] == "checked"
    assert [(c["check"], c["verdict"]) for c in instance["checks"]] == [(c["check"], c["verdict"]) for c in lines]
    assert all(set(c) == {"instance", "plugin", "check", "help", "verdict", "text"} for c in lines)
    assert [c["verdict"] for c in lines[-2:]] == ["failed", "skipped"]
    assert daemon.request("GET", "/api/v1/doctor/nobody")[0] == 404
    assert daemon.request("GET", "/api/v1/doctor?format=xml")[0] == 400


def test_who_does_not_answer_holds_nobody_up_for_ever(daemon, client):
    """One never gives its verdict, one hangs in its check, one hung before: each is told, and the others too; on a terminal one sees that it waits."""
    daemon.start(configuration(daemon, checked("well", "ok") + checked("silent", "silent") + checked("hangs", "blocks")
                               + "  - { plugin: rogue, name: hung, how: read_blocks, for: 600s }\n"), wait=False)
    wait_for(lambda: daemon.socket.exists() and daemon.request("GET", "/-/healthy")[0] == 200, 20)
    terminal = Terminal(daemon, "doctor", "silent")
    document = doctor(client, code=1)
    assert findings(document, "well") == WELL
    assert findings(document, "silent") == ["loop ok", "state ok", "readings ok", "first ok", "second failed", "third skipped"]
    assert "no answer within 5s" in text_of(document, "silent", "second")
    assert findings(document, "hangs")[-2:] == ["second failed", "third skipped"]
    assert "in examine() for" in text_of(document, "hangs", "second")
    assert findings(document, "hung") == ["loop failed", "state skipped", "readings skipped"]
    assert "in read() for" in text_of(document, "hung", "loop")
    assert {b["instance"]: b["check"] for b in document["broken"]} == {"silent": "second", "hangs": "second", "hung": "loop"}
    wait_for(lambda: "silent is broken at" in terminal.text, 30)
    assert "waiting for the next answer, 3 s" in terminal.text
    assert terminal.end() == 1
    again = doctor(client, code=1)  # what is known to hang is said at once, and a verdict still owed is no answer to another question
    assert "still owes" in text_of(again, "silent", "first")
    assert findings(again, "hangs")[0] == findings(again, "hung")[0] == "loop failed"


def test_a_reader_who_leaves_and_a_reload_meanwhile_harm_nobody(daemon, client):
    daemon.start(configuration(daemon, checked("silent", "silent") + checked("b", "ok")))
    with contextlib.closing(UnixConnection(daemon.socket, 20)) as left:
        left.request("GET", "/api/v1/doctor?format=ndjson")
        left.getresponse().read(10)
    with contextlib.closing(UnixConnection(daemon.socket, 30 * SLOWER)) as stays:
        stays.request("GET", "/api/v1/doctor/silent")
        daemon.configure(configuration(daemon, checked("silent", "failed") + checked("b", "ok")))
        daemon.hup()
        document = json.loads(stays.getresponse().read())
    assert findings(document, "silent")[-2:] in (["second failed", "third skipped"], ["second skipped", "third skipped"])  # wherever it was
    assert findings(doctor(client, "b"), "b") == WELL


def test_so_many_at_once_and_no_more(daemon):
    daemon.start(configuration(daemon, checked("silent", "silent")))
    with contextlib.ExitStack() as stack:
        connections = [stack.enter_context(contextlib.closing(UnixConnection(daemon.socket, 20 * SLOWER))) for _ in range(20)]
        for connection in connections:
            connection.request("GET", "/api/v1/doctor/silent?format=ndjson")
        answers = [connection.getresponse() for connection in connections]
        statuses = [a.status for a in answers]
        assert sorted(set(statuses)) == [200, 503], statuses
        assert statuses.count(200) == 16
        for answer in answers:
            body = answer.read()
            assert answer.status == 503 or body.count(b"\n") == 6  # all heard the same examination


def test_outputs_and_listeners_have_rungs_too(daemon, client):
    """A socket that somebody removed, and a standard output that nobody reads any more."""
    reader, writer = os.pipe()
    text = configuration(daemon, "  - { plugin: stdout }\n  - { plugin: web, name: second, listen: [\"unix:%s/second.sock\"] }\n" % daemon.folder)
    daemon.start(text, preexec=lambda: os.dup2(writer, 1))
    os.close(writer)
    daemon.wait_state("up", name="second")  # it may have found the other one opening a socket beside it
    document = doctor(client)
    assert findings(document, "stdout")[-1] == "reader ok" and "a pipe" in text_of(document, "stdout", "reader")
    assert findings(document, "second")[-3:] == ["listeners ok", "connections ok", "certificate skipped"]
    os.close(reader)
    (daemon.folder / "second.sock").unlink()
    document = doctor(client, code=1)
    assert {b["instance"]: b["check"] for b in document["broken"]} == {"stdout": "reader", "second": "listeners"}
    assert "was removed" in text_of(document, "second", "listeners")


# ---- a callwatchd that cannot be reached ----


def test_not_there_is_the_first_broken_rung_and_the_configuration_is_looked_at(daemon, client):
    daemon.configure(configuration(daemon, checked("a", "ok")))
    document = doctor(client, "-c", daemon.config_path, code=3)
    assert findings(document, "callwatchd") == ["socket failed", "configuration ok", "process failed"]
    assert "there is no socket" in text_of(document, "callwatchd", "socket")
    assert document["broken"][0]["check"] == "process"
    daemon.configure(configuration(daemon, checked("a", "perhaps")))
    document = doctor(client, "-c", daemon.config_path, code=3)
    assert findings(document, "callwatchd") == ["socket failed", "configuration failed"]
    assert "callwatchd.yaml:" in text_of(document, "callwatchd", "configuration")
    shown = client("doctor", "-c", daemon.config_path)
    assert shown.returncode == 3
    assert "✖ callwatchd is broken at `configuration`" in shown.stdout


def test_a_socket_elsewhere_nobody_behind_it_or_no_right_to_it(daemon, client, folder):
    daemon.start(configuration(daemon, checked("a", "ok")))
    elsewhere = subprocess.run([str(BIN / "callwatch"), "--socket", f"{folder}/other.sock", "doctor", "-c", str(daemon.config_path), "--format", "json"],
                               capture_output=True, text=True, timeout=20 * SLOWER)
    assert elsewhere.returncode == 3
    document = json.loads(elsewhere.stdout)
    assert findings(document, "callwatchd") == ["socket failed", "configuration ok", "process ok"]
    assert f"process {daemon.pid}" in text_of(document, "callwatchd", "process")

    dead = socket.socket(socket.AF_UNIX)
    dead.bind(f"{folder}/dead.sock")
    dead.close()
    refused = subprocess.run([str(BIN / "callwatch"), "--socket", f"{folder}/dead.sock", "doctor"], capture_output=True, text=True, timeout=20 * SLOWER)
    assert refused.returncode == 3 and "nobody listens" in refused.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="needs to become another user")
def test_no_right_to_the_socket_is_told_with_the_group(daemon):
    daemon.start(configuration(daemon, checked("a", "ok")))
    os.chmod(daemon.folder, 0o755)
    shutil.copy(BIN / "callwatch", daemon.folder / "callwatch")
    nobody = pwd.getpwnam("nobody")
    done = subprocess.run([str(daemon.folder / "callwatch"), "--socket", str(daemon.socket), "doctor"], capture_output=True, text=True,
                          timeout=20 * SLOWER, user=nobody.pw_uid, group=nobody.pw_gid, extra_groups=[], cwd="/", env={"PATH": os.environ["PATH"]})
    assert done.returncode == 3, done.stderr
    assert "✖ failed     socket" in done.stdout and "members of the group callwatch" in done.stdout


def test_wrong_words_are_usage_errors(daemon, client):
    daemon.start(configuration(daemon, checked("a", "ok")))
    refused = client("doctor", "--format", "csv")
    assert refused.returncode == 2 and "prints --format table or json" in refused.stderr
    assert re.search(r"--format FORMAT +table or json$", client("doctor", "--help").stdout, re.M), "the help offers what is taken"
    assert re.search(r"--format FORMAT +table, json, ndjson or csv$", client("get", "--help").stdout, re.M)
    assert client("doctor", "a", "b").returncode == 2
    unknown = client("doctor", "nobody")
    assert unknown.returncode == 1 and "there is no instance `nobody`" in unknown.stderr


# ---- config diff ----


@pytest.mark.sanitize
def test_config_diff_says_what_a_reload_then_does(daemon, client):
    secret = daemon.folder / "secret"
    secret.write_text("one\n")
    secret.chmod(0o600)
    steady = f"  - {{ plugin: steady, name: s, secret_file: {secret}, rows: 3 }}\n"
    daemon.start(configuration(daemon, steady + checked("a", "ok") + checked("gone", "ok")))
    done = client("config", "diff")
    assert (done.returncode, done.stdout) == (0, "nothing: the configuration on disk is the one in force\n")

    secret.write_text("two\n")
    daemon.configure(configuration(daemon, steady.replace("rows: 3", "rows: 4") + checked("a", "ok") + checked("new", "ok")))
    done = client("config", "diff")
    assert done.returncode == 0
    assert sorted(done.stdout.splitlines()) == [
        "gone: stopped", "new: started (plugin checked)",
        "s: restarted: rows: 3 → 4; secret: *** → *** (the content of secret_file changed)"]
    assert daemon.instance("gone") and not daemon.instance("new"), "a preview must change nothing"
    assert "two" not in daemon.stderr

    reloaded = client("reload")
    assert reloaded.stdout == "2 unchanged, 1 restarted (s), 1 added (new), 1 removed (gone)\n"
    assert client("config", "diff").stdout.startswith("nothing")


def test_config_diff_of_a_wrong_configuration_names_its_places(daemon, client):
    daemon.start(configuration(daemon, checked("a", "ok")))
    daemon.configure(configuration(daemon, checked("a", "perhaps") + "  - { plugin: nosuch }\n"))
    done = client("config", "diff")
    assert done.returncode == 78
    places = [line.strip() for line in done.stderr.splitlines() if line.strip().startswith(str(daemon.config_path))]
    assert len(places) == 2 and all(":" in p.removeprefix(str(daemon.config_path) + ":") for p in places)
    assert client("doctor").returncode == 0, "the one in force is as good as before"


def test_config_diff_tells_what_a_reload_cannot_do(daemon, client):
    daemon.start(configuration(daemon, checked("a", "ok")))
    daemon.configure(configuration(daemon, checked("a", "ok"), agent="  labels: { env: test }\n"))
    lines = client("config", "diff").stdout.splitlines()
    assert "a: restarted: agent.labels: not set → {env: test}" in lines
    assert any("needs a restart" in line for line in lines)
