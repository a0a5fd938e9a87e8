# SPDX-License-Identifier: MIT
"""What people ask instances to do, over a real daemon: HTTP, the client, the journal before and after a crash. The actor itself: tests/unit/test_tasks.c."""

import datetime
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys

import pytest

from harness import BIN, BUILD, Terminal, UnixConnection, free_port, wait_for


def configuration(daemon, worker="", web="", state=True):
    return (f"agent:\n  hostname: testhost\n" + (f"  state_dir: {daemon.folder}/state\n" if state else "") +
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n  - {{ plugin: worker, name: work{worker} }}\n"
            f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"{web}]\n")


def start_again(daemon):
    daemon.start(daemon.config_path.read_text())


def request(daemon, method, path, body=None, headers=None, port=None):
    """(status, JSON, headers) of an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30) if port else UnixConnection(daemon.socket, 30)
    text = body if isinstance(body, (bytes, str)) or body is None else json.dumps(body)
    connection.request(method, path, body=text, headers=headers or {})
    answer = connection.getresponse()
    told = answer.read()
    connection.close()
    return answer.status, json.loads(told) if told.strip() else None, dict(answer.getheaders())


def act(daemon, action, body=None, **options):
    return request(daemon, "POST", f"/api/v1/actions/work/{action}", body, **options)


def task(daemon, task_id):
    status, answer, _ = request(daemon, "GET", f"/api/v1/tasks/{task_id}")
    assert status == 200, answer
    return answer


def end_of(daemon, task_id):
    def ended():
        found = task(daemon, task_id)
        return found if found["task"]["state"] not in ("queued", "running") else None
    return wait_for(ended, 20, what=f"the end of {task_id}")


def rows(daemon, table, *where):
    """None of a table that is not there yet: it comes with the first task."""
    path = f"/api/v1/tables/{table}?" + "&".join(["limit=0", *("where=" + w for w in where)])
    status, answer, _ = request(daemon, "GET", path)
    assert status == 200 or (status == 404 and f"'{table}'" in answer["detail"]), answer
    return answer.get("rows", [])


def events_of(daemon, task_id):
    """The oldest first. They follow the row, by way of the hub."""
    return [e for e in reversed(rows(daemon, "events", "kind=action")) if e["subject"] == f"tasks/{task_id}"]


def journal(daemon, select):
    with sqlite3.connect(f"file:{daemon.folder}/state/journal.db?mode=ro", uri=True) as db:
        return db.execute(select).fetchall()


@pytest.mark.sanitize
def test_action_over_http_from_the_question_to_the_outcomes(daemon):
    daemon.start(configuration(daemon))
    status, listed, _ = request(daemon, "GET", "/api/v1/actions")
    assert status == 200
    finish = listed["actions"][0]
    assert (finish["instance"], finish["action"], finish["table"], finish["allowed"], finish["can_cancel"]) == ("work", "finish", "jobs", True, True)
    assert finish["danger"] == "what is finished cannot be begun again"
    assert [a["name"] for a in finish["arguments"]] == ["rate", "fail_each", "lose_each"]

    status, plan, _ = act(daemon, "finish", {"where": ["state=stuck"], "arguments": {"fail_each": 2}, "dry_run": True})
    assert status == 200
    assert (plan["count"], plan["scope"], plan["danger"]) == (5, "acts on 5 of 10 rows", finish["danger"])
    assert [row["id"] for row in plan["rows"]] == ["job-00001", "job-00003", "job-00005", "job-00007", "job-00009"]
    assert plan["rows"][0]["note"] == "call +1••••••0001"
    assert rows(daemon, "tasks") == []

    status, made, headers = act(daemon, "finish", {"plan": plan["plan"]})
    assert (status, made["journaled"], made["again"]) == (202, True, False)
    assert headers["location"] == f"/api/v1/tasks/{made['task_id']}"
    ended = end_of(daemon, made["task_id"])
    assert {k: ended["task"][k] for k in ("state", "done", "failed", "gone", "unknown", "total")} == {
        "state": "success", "done": 3, "failed": 2, "gone": 0, "unknown": 0, "total": 5}
    assert [(o["row"], o["outcome"]) for o in ended["outcomes"]] == [
        ("job-00001", "done"), ("job-00003", "failed"), ("job-00005", "done"), ("job-00007", "failed"), ("job-00009", "done")]
    begun, done = wait_for(lambda: len(found := events_of(daemon, made["task_id"])) == 2 and found)
    assert (begun["from"], begun["to"], done["from"], done["to"]) == (None, "running", "running", "success")
    assert ", process " in begun["by"] and done["by"] == "work"
    wait_for(lambda: journal(daemon, "select count(*) from task_row where outcome is not null") == [(5,)])


def test_wrong_questions_have_their_own_status(daemon):
    port = free_port()
    daemon.start(configuration(daemon, worker=", allow_actions: false", web=f", \"127.0.0.1:{port}\""))
    json_type = {"Content-Type": "application/json"}
    cases = [
        ("POST", "/api/v1/actions/work/run", {"arguments": {"steps": "x"}}, 400, "steps: expected a whole number"),
        ("POST", "/api/v1/actions/work/run", b"{", 400, "the body is no JSON"),
        ("POST", "/api/v1/actions/work/run", {"argument": {}}, 400, "no member `argument`"),
        ("POST", "/api/v1/actions/work/finish", {"all": True}, 403, "write `allow_actions: true`"),
        ("POST", "/api/v1/actions/wrok/run", None, 404, "did you mean `work`?"),
        ("POST", "/api/v1/actions/work/rnu", None, 404, "did you mean `run`?"),
        ("POST", "/api/v1/actions/web/run", None, 404, "has no actions"),
        ("POST", "/api/v1/actions/work", None, 404, "nothing at this path"),
        ("GET", "/api/v1/actions/work/run", None, 405, "answers POST"),
        ("PUT", "/api/v1/tasks/t0", None, 405, "answers GET, HEAD, DELETE"),
        ("GET", "/api/v1/tasks/t0", None, 404, "no task `t0`"),
        ("GET", "/api/v1/tasks/t0'%20or", None, 404, "no task"),
        ("DELETE", "/api/v1/tasks/t0", None, 404, "no task `t0`"),
    ]
    for method, path, body, status, part in cases:
        found, problem, headers = request(daemon, method, path, body)
        assert (found, headers["content-type"]) == (status, "application/problem+json"), (path, problem)
        assert part in problem["detail"], problem
    # a viewer may look, and no more; a page of another site not even with an operator's rights
    assert request(daemon, "GET", "/api/v1/actions", port=port)[0] == 200
    assert act(daemon, "run", {}, headers=json_type, port=port)[0] == 403
    assert request(daemon, "DELETE", "/api/v1/tasks/t0", headers=json_type, port=port)[0] == 403
    assert act(daemon, "run", {}, headers={**json_type, "Origin": "http://evil.example"})[0] == 403
    assert act(daemon, "run", {}, headers={"Idempotency-Key": "x" * 200})[0] == 400
    assert rows(daemon, "tasks") == []


def test_one_at_a_time_and_the_same_key_the_same_task(daemon):
    daemon.start(configuration(daemon))
    long = {"arguments": {"steps": 1000000, "step": "10ms"}}
    _, first, _ = act(daemon, "run", long, headers={"Idempotency-Key": "k1"})
    status, problem, _ = act(daemon, "run", {})
    assert (status, problem["task"]) == (409, first["task_id"])
    status, again, _ = act(daemon, "run", long, headers={"Idempotency-Key": "k1"})
    assert (status, again["task_id"], again["again"]) == (202, first["task_id"], True)
    status, problem, _ = act(daemon, "run", {}, headers={"Idempotency-Key": "k1"})
    assert (status, problem["task"]) == (422, first["task_id"])
    assert request(daemon, "DELETE", f"/api/v1/tasks/{first['task_id']}")[0] == 202
    assert end_of(daemon, first["task_id"])["task"]["state"] == "cancelled"
    # and across a restart: it is in the journal
    daemon.stop()
    start_again(daemon)
    status, again, _ = act(daemon, "run", long, headers={"Idempotency-Key": "k1"})
    assert (status, again["task_id"], again["again"]) == (202, first["task_id"], True)


@pytest.mark.sanitize
def test_body_that_comes_in_pieces_is_read_and_one_that_does_not_come_is_not_waited_for(daemon):
    daemon.start(configuration(daemon))
    body = json.dumps({"keys": [f"job-{i:05}" for i in range(3000)]}).encode()
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(daemon.socket))
        s.sendall(b"POST /api/v1/actions/work/finish HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(body))
        for i in range(0, len(body), 5000):
            s.sendall(body[i:i + 5000])
        assert s.recv(100).startswith(b"HTTP/1.1 202")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(daemon.socket))
        s.sendall(b"POST /api/v1/actions/work/run HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        assert s.recv(100).startswith(b"HTTP/1.1 408")
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(60)
        s.connect(str(daemon.socket))
        s.sendall(b"POST /api/v1/actions/work/run HTTP/1.1\r\nHost: x\r\nContent-Length: 65537\r\n\r\n")
        assert s.recv(100).startswith(b"HTTP/1.1 413")
    assert rows(daemon, "tasks", "action=run") == []


@pytest.mark.sanitize
def test_fault_49_task_of_a_killed_agent_is_lost_with_the_outcomes_that_were_told(daemon):
    daemon.start(configuration(daemon, worker=", count: 500"))
    _, made, _ = act(daemon, "finish", {"all": True, "arguments": {"rate": 50}})
    wait_for(lambda: len(task(daemon, made["task_id"])["outcomes"]) >= 10, 20)
    wait_for(lambda: journal(daemon, "select count(*) from task_row where outcome is not null")[0][0] >= 10, 20)
    daemon.process.kill()
    told = journal(daemon, "select count(*) from task_row where outcome is not null")[0][0]
    assert journal(daemon, "select count(*) from task_row") == [(500,)]  # all rows that it was to act on were there before
    start_again(daemon)
    lost = end_of(daemon, made["task_id"])
    assert lost["task"]["state"] == "lost"
    assert lost["task"]["reason"] == f"callwatchd ended while it ran: {told} of 500 rows have an outcome"
    assert (lost["task"]["done"], lost["task"]["total"], len(lost["outcomes"])) == (told, 500, told)
    wait_for(lambda: [e["to"] for e in events_of(daemon, made["task_id"])] == ["lost"])
    wait_for(lambda: "is lost: callwatchd ended while it ran" in daemon.process.stderr)
    # it is told once, and stays so
    daemon.stop()
    start_again(daemon)
    assert end_of(daemon, made["task_id"])["task"] == lost["task"]


def test_fault_47_damaged_journal_is_set_aside_and_said(daemon):
    state = daemon.folder / "state"
    state.mkdir()
    (state / "journal.db").write_bytes(b"no database" * 1000)
    daemon.start(configuration(daemon))
    [aside] = wait_for(lambda: list(state.glob("journal.db.corrupt-*")))
    wait_for(lambda: f"was set aside as {aside.name}" in daemon.process.stderr)
    wait_for(lambda: any(e["subject"] == "journal" for e in rows(daemon, "events", "kind=note")))
    assert act(daemon, "run", {})[1]["journaled"] is True


def test_fault_48_action_is_not_begun_before_the_journal_has_spoken(daemon):
    daemon.start(configuration(daemon))
    assert end_of(daemon, act(daemon, "run", {})[1]["task_id"])["task"]["state"] == "success"
    other = sqlite3.connect(f"{daemon.folder}/state/journal.db", isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    status, made, _ = act(daemon, "run", {})
    assert (status, made["journaled"]) == (202, False)
    found = end_of(daemon, made["task_id"])["task"]
    waited = [datetime.datetime.fromisoformat(found[k]) for k in ("asked_at", "started_at")]
    assert waited[1] - waited[0] >= datetime.timedelta(seconds=1.5)  # so long a lock is waited for
    wait_for(lambda: "another program keeps it locked" in daemon.process.stderr)
    other.execute("ROLLBACK")
    other.close()
    wait_for(lambda: "is written again; 0 entries were lost" in daemon.process.stderr, 30)
    wait_for(lambda: journal(daemon, f"select state from task where task_id = '{made['task_id']}'") == [(2,)])


def test_fault_44_full_disk_is_worked_without_and_written_back_to(daemon, make_disk):
    state = daemon.folder / "state"
    disk = make_disk(state, "300k")
    daemon.start(configuration(daemon), wrapper=disk.inside)
    assert act(daemon, "run", {})[1]["journaled"] is True
    disk.run("sh", "-c", f"cat /dev/zero >{state}/filler 2>/dev/null || true")
    made = [act(daemon, "finish", {"keys": [f"job-{i:05}" for i in range(10)]})[1] for _ in range(20)]
    wait_for(lambda: "kept in memory only, and a crash would forget it" in daemon.process.stderr)
    assert made[-1]["journaled"] is False
    assert all(end_of(daemon, m["task_id"])["task"]["state"] == "success" for m in made)
    disk.run("rm", state / "filler")
    wait_for(lambda: "is written again; 0 entries were lost" in daemon.process.stderr, 30)
    look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
    for select, rows_there in [("select count(*) from task where state = 2", 21), ("select count(*) from task_row where outcome is not null", 200)]:
        assert disk.run(sys.executable, "-c", look, state / "journal.db", select) == f"[({rows_there},)]\n"


def test_without_a_place_for_the_journal_it_goes_on_and_says_so(daemon):
    daemon.start(configuration(daemon, state=False))
    wait_for(lambda: "there is no state_dir: what people ask" in daemon.process.stderr)
    status, made, _ = act(daemon, "run", {})
    assert (status, made["journaled"]) == (202, False)
    assert "after a crash nothing would be known of it" in made["note"]
    assert end_of(daemon, made["task_id"])["task"]["state"] == "success"


def test_reload_that_restarts_the_instance_loses_its_task_and_takes_no_other(daemon):
    daemon.start(configuration(daemon))
    _, made, _ = act(daemon, "run", {"arguments": {"steps": 1000000}})
    wait_for(lambda: task(daemon, made["task_id"])["task"]["state"] == "running")
    daemon.configure(configuration(daemon, worker=", count: 11"))
    assert daemon.request("POST", "/-/reload")[0] == 200
    lost = end_of(daemon, made["task_id"])["task"]
    assert (lost["state"], lost["reason"]) == ("lost", "the instance was stopped while it ran, and its plugin left it behind")
    wait_for(lambda: act(daemon, "run", {})[0] == 202)


def test_endpoints_of_another_api_are_answered_for_their_key(daemon):
    port = free_port()
    daemon.start(configuration(daemon, worker=", endpoint_key: sesame", web=f", \"127.0.0.1:{port}\""))
    key = {"X-API-Key": "sesame"}
    path = "/api/v1/internal/worker/"
    status, answer, _ = request(daemon, "POST", path + "run", headers=key, port=port)
    assert (status, set(answer)) == (200, {"run_id", "state"})
    [made] = rows(daemon, "tasks")
    assert (answer["run_id"], made["action"]) == (f"run-{made['task_id']}", "run")
    assert made["requested_by"] == "127.0.0.1, by the key of an endpoint"
    assert request(daemon, "GET", path + "status", headers=key, port=port)[:2] == (200, {"job": "job-00009", "state": "stuck", "note": "call +1••••••0009"})
    for wrong in ({}, {"X-API-Key": "sesam"}, {"X-API-Key": "sesames"}):
        assert request(daemon, "POST", path + "run", headers=wrong, port=port)[0] == 401
        assert request(daemon, "GET", path + "status", headers=wrong, port=port)[0] == 401
    assert request(daemon, "GET", path + "run", headers=key, port=port)[0] == 405
    assert request(daemon, "GET", path + "run", port=port)[0] == 401  # who has no key is not told what there is
    guesses = [request(daemon, "GET", path + "status", headers={"X-API-Key": f"guess {i}"}, port=port)[0] for i in range(20)]
    assert guesses[:5] == [401] * 5 and 429 in guesses
    wait_for(lambda: "wrong passwords, tokens or keys came from 127.0.0.1" in daemon.process.stderr)
    wait_for(lambda: request(daemon, "GET", path + "status", headers=key, port=port)[0] == 200, what="the wait to be over, which is the right key's too")
    assert request(daemon, "GET", path + "other", headers=key, port=port)[0] == 404
    assert len(rows(daemon, "tasks")) == 1
    assert act(daemon, "finish", {"all": True})[0] == 202
    wait_for(lambda: request(daemon, "GET", path + "status", headers=key, port=port)[1] == {"job": None, "state": None, "note": None})
    assert "sesame" not in daemon.process.stderr


def test_endpoint_without_a_key_is_not_there(daemon):
    daemon.start(configuration(daemon))
    assert request(daemon, "GET", "/api/v1/internal/worker/status", headers={"X-API-Key": ""})[0] == 404
    assert request(daemon, "GET", "/api/v1/internal/worker/status")[0] == 404


# ---- the client ----


def test_client_lists_shows_and_does(daemon, client):
    daemon.start(configuration(daemon, worker=", count: 50, exist: 194681"))
    listed = client("trigger")
    assert listed.returncode == 0 and "work      finish     Finish jobs" in listed.stdout
    shown = client("trigger", "work", "finish", "fail_each=5", "--where", "state=stuck", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert "finish of work acts on 25 rows of the latest 50 of 194,681." in shown.stdout
    assert "Careful: what is finished cannot be begun again." in shown.stdout
    assert "(the first 20)" in shown.stdout and "job-00039" in shown.stdout and "job-00041" not in shown.stdout
    plan = shown.stdout.split("--plan ")[1].split()[0]
    done = client("trigger", "work", "finish", "--plan", plan, "--yes", "--wait")
    assert done.returncode == 0, done.stderr
    assert "success: 25 of 25, 5 failed" in done.stdout
    [made] = rows(daemon, "tasks")
    assert f"callwatch outcomes --where task_id={made['task_id']} --where outcome!=done" in done.stdout
    listed = client("outcomes", "--where", f"task_id={made['task_id']}", "--where", "outcome!=done", "--format", "ndjson")
    assert len(listed.stdout.splitlines()) == 5
    assert client("tasks").stdout.count("success") == 1
    timeline = client("describe", "tasks", made["task_id"]).stdout
    assert "– → running" in timeline and "running → success" in timeline


def test_client_asks_on_a_terminal_and_does_what_it_has_shown(daemon):
    daemon.start(configuration(daemon))
    refused = Terminal(daemon, "trigger", "work", "finish", "--where", "state=stuck")
    wait_for(lambda: "Go on? [y/N]" in refused.text)
    assert "acts on 5 of 10 rows." in refused.text and "Careful: what is finished" in refused.text
    os.write(refused.master, b"\n")
    assert refused.process.wait(30) == 1
    wait_for(lambda: "Nothing was done." in refused.text)
    assert rows(daemon, "tasks") == []
    agreed = Terminal(daemon, "trigger", "work", "finish", "--where", "state=stuck", "--wait")
    wait_for(lambda: "Go on? [y/N]" in agreed.text)
    # what was shown is what is done, though by now one of them would not be chosen any more
    assert end_of(daemon, act(daemon, "finish", {"keys": ["job-00001"]})[1]["task_id"])["task"]["state"] == "success"
    os.write(agreed.master, b"y\n")
    assert agreed.process.wait(30) == 0
    wait_for(lambda: "success: 5 of 5" in agreed.picture)
    # an action that is harmless does not ask
    harmless = Terminal(daemon, "trigger", "work", "run", "--wait")
    assert harmless.process.wait(30) == 0


def test_client_exit_codes_tell_how_it_ended(daemon, client):
    daemon.start(configuration(daemon))
    assert client("trigger", "work", "run", "--wait").returncode == 0
    failed = client("trigger", "work", "run", "fail=true", "--wait")
    assert failed.returncode == 1 and "error: 1 of 1 · it failed at its end" in failed.stdout
    for words, code, part in [
        (("work", "finish", "--all"), 2, "finish needs --yes where nobody can be asked"),
        (("work", "finish", "--yes"), 2, "--key KEY, --where EXPR or --all says which"),
        (("work", "rate=1"), 2, "more than one action: say which; known: finish, run, misbehave"),
        (("work", "finsh"), 1, "did you mean `finish`?"),
        (("wrok", "run"), 1, "did you mean `work`?"),
        (("work", "run", "steps"), 2, "they are written NAME=VALUE"),
        (("work", "run", "stps=1"), 1, "did you mean `steps`?"),
        (("work", "run", "--plan", "p0"), 1, "there is no plan `p0`"),
        (("work", "run", "--dry-run", "--wait"), 2, "--dry-run does nothing"),
        (("--cancel", "t0"), 1, "there is no task `t0`"),
    ]:
        done = client("trigger", *words)
        assert done.returncode == code, (words, done.stderr)
        assert part in " ".join(done.stderr.split()), done.stderr
    begun = client("trigger", "work", "run", "steps=1000000")
    assert begun.returncode == 0
    task_id = begun.stdout.split()[1].rstrip(":")
    busy = client("trigger", "work", "run", "--wait")
    assert busy.returncode == 1 and "runs already" in busy.stderr and task_id in busy.stderr
    assert client("trigger", "--cancel", task_id).returncode == 0
    assert end_of(daemon, task_id)["task"]["state"] == "cancelled"


def waiting_client(daemon, *words):
    return subprocess.Popen([BIN / "callwatch", "--socket", str(daemon.socket), "trigger", *words, "--wait"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def running_task(daemon):
    return wait_for(lambda: rows(daemon, "tasks", "state=running"))[0]["task_id"]


def test_client_interrupted_leaves_the_task_running_and_says_how_to_go_on(daemon):
    daemon.start(configuration(daemon))
    waiting = waiting_client(daemon, "work", "run", "steps=1000000")
    task_id = running_task(daemon)
    # it says so when it has begun to look; only then is it its own handler that hears of the signal
    assert waiting.stderr.readline() == f"task {task_id}\n"
    assert waiting.stderr.readline().startswith(f"{task_id}: ")
    waiting.send_signal(signal.SIGINT)
    _, told = waiting.communicate(timeout=60)
    assert waiting.returncode == 130
    assert "The task goes on." in told and f"callwatch trigger --cancel {task_id}" in told
    assert task(daemon, task_id)["task"]["state"] == "running"


def test_client_waits_through_a_crash_and_says_lost(daemon):
    daemon.start(configuration(daemon))
    waiting = waiting_client(daemon, "work", "run", "steps=1000000")
    task_id = running_task(daemon)
    assert waiting.stderr.readline() == f"task {task_id}\n"
    daemon.process.kill()
    start_again(daemon)
    told, complained = waiting.communicate(timeout=120)
    assert waiting.returncode == 4, complained
    assert "lost" in told and "callwatchd ended while it ran" in told
