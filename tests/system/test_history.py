# SPDX-License-Identifier: MIT
"""What was: the event log and tables as they were, over a real daemon, its HTTP and its client, and across restarts."""

import datetime
import os
import pwd
import signal
import sqlite3
import subprocess
import time

import pytest

from harness import BIN, wait_for
from test_actions import act, configuration, end_of, request, start_again


def events(daemon, query=""):
    status, answer, _ = request(daemon, "GET", "/api/v1/events" + ("?" + query if query else ""))
    assert status == 200, answer
    return answer["rows"]


def texts(daemon, *query):
    return [event["text"] for event in events(daemon, "&".join(["where=kind=note", "where=by!=null", *query]))]


def note(daemon, text):
    status, answer, _ = request(daemon, "POST", "/api/v1/events", {"text": text})
    assert status == 201, answer


def logged(daemon, text):
    wait_for(lambda: text in texts(daemon), 20, what=f"the note {text}")


def now():
    return datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def moment():
    """A time that differs from all before and after by more than the millisecond in which times are told."""
    time.sleep(0.005)
    told = now()
    time.sleep(0.005)
    return told


def at(daemon, table, when, query=""):
    return request(daemon, "GET", f"/api/v1/tables/{table}?at={when}" + ("&" + query if query else ""))


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become somebody else")
def test_who_is_not_in_etc_passwd_is_known_by_number(daemon):
    daemon.start(configuration(daemon))
    for path in [daemon.folder, *daemon.folder.parents][:-2]:
        if not path.stat().st_mode & 0o001:
            path.chmod(0o711)
    subprocess.run([BIN / "callwatch", "--socket", daemon.socket, "note", "mine"], user=54321, group=daemon.socket.stat().st_gid,
                   extra_groups=[], check=True)
    logged(daemon, "mine")
    [event] = events(daemon, "where=text=mine")
    assert event["by"].startswith("user 54321, process ")


@pytest.mark.sanitize
def test_notes_are_in_the_log_by_whom_and_outlive_a_restart(daemon):
    daemon.start(configuration(daemon))
    note(daemon, "deploy 42")
    logged(daemon, "deploy 42")
    [event] = events(daemon, "where=text=deploy%2042")
    assert event["kind"] == "note" and event["by"].startswith(f"{pwd.getpwuid(os.getuid()).pw_name}, process ") and event["from"] is None
    between = moment()
    note(daemon, "rolled back")
    logged(daemon, "rolled back")
    daemon.process.kill()
    start_again(daemon)
    assert texts(daemon) == ["rolled back", "deploy 42"]
    assert texts(daemon, "order=oldest") == ["deploy 42", "rolled back"]
    assert texts(daemon, f"until={between}") == ["deploy 42"]
    assert texts(daemon, f"since={between}") == ["rolled back"]
    assert texts(daemon, "limit=1") == ["rolled back"]


@pytest.mark.sanitize
def test_table_as_it_was_between_two_tasks_and_across_a_restart(daemon):
    daemon.start(configuration(daemon))
    before = now()
    first = act(daemon, "run", {})[1]["task_id"]
    assert end_of(daemon, first)["task"]["state"] == "success"
    between = moment()
    second = act(daemon, "run", {})[1]["task_id"]
    end_of(daemon, second)

    def then(when, query=""):
        status, answer, _ = at(daemon, "tasks", when, query)
        assert status == 200, answer
        return answer

    def rows_then(when, query=""):
        return {row["task_id"]: row["state"] for row in then(when, query)["rows"]}

    wait_for(lambda: rows_then(now()) == {first: "success", second: "success"}, 20)
    assert rows_then(between) == {first: "success"}
    answer = then(between, "columns=state,duration_seconds" if "duration_seconds" in then(between)["columns"] else "columns=state")
    assert answer["at"] == between and answer["complete"] is True and answer["as_of"] == [between, between]
    assert answer["log_from"] <= before and answer["total"] == 1
    assert rows_then(between, "where=state=error") == {}
    daemon.process.kill()
    killed = now()
    start_again(daemon)
    assert rows_then(between) == {first: "success"}
    status, answer, _ = at(daemon, "tasks", "2020-01-01T00:00:00Z")
    assert status == 404 and "reaches back to" in answer["detail"]
    status, answer, _ = at(daemon, "tasks", "2200-01-01T00:00:00Z")
    assert status == 404 and "not come yet" in answer["detail"]
    assert killed


def test_questions_that_the_log_cannot_answer_say_why(daemon):
    daemon.start(configuration(daemon))
    wait_for(lambda: at(daemon, "instances", now())[0] == 200, 20)
    told = now()
    for path, status, words in [
            (f"/api/v1/tables/events?at={told}", 404, "no column that is watched"),
            (f"/api/v1/tables/nonsense?at={told}", 404, "no table"),
            ("/api/v1/tables/tasks?at=02:10", 400, "RFC 3339"),
            (f"/api/v1/tables/instances?at={told}&cursor=x", 400, "cursor"),
            (f"/api/v1/tables/instances?at={told}&watch=true&format=ndjson", 400, "watch"),
            ("/api/v1/events?where=colour=red", 400, "colour"),
            ("/api/v1/events?order=random", 400, "newest or oldest"),
            ("/api/v1/events?since=yesterday", 400, "RFC 3339")]:
        got, answer, _ = request(daemon, "GET", path)
        assert got == status and words in answer["detail"], (path, got, answer)
    for body in ({}, {"text": ""}, {"text": "x" * 1001}, {"text": "x", "by": "somebody"}, {"text": 7}):
        assert request(daemon, "POST", "/api/v1/events", body)[0] == 400, body


def test_without_a_state_dir_the_last_events_are_in_memory_and_nothing_else_was(daemon):
    daemon.start(configuration(daemon, state=False))
    note(daemon, "deploy 42")
    logged(daemon, "deploy 42")
    assert texts(daemon, "since=2200-01-01T00:00:00Z") == []
    status, answer, _ = at(daemon, "instances", now())
    assert status == 404 and "no state_dir" in answer["detail"]


def test_client_notes_and_shows_what_was(daemon, client):
    daemon.start(configuration(daemon))
    assert client("note", "deploy", "of", "42").stdout == "noted\n"
    wait_for(lambda: "deploy of 42" in client("events", "--since", "2h", "--where", "kind=note").stdout, 20)
    shown = client("events", "--limit", "1", "--until", "-0s")
    assert shown.returncode == 0 and "more with --limit" in shown.stdout
    assert "known since" in client("events").stdout
    assert "deploy of 42" in client("events", "--format", "ndjson").stdout
    assert "deploy of 42" not in client("events", "--until", "2020-01-01").stdout
    made = act(daemon, "run", {})[1]["task_id"]
    end_of(daemon, made)
    wait_for(lambda: "success" in client("get", "tasks", made, "--at", now()).stdout, 20)
    assert "as it was at" in client("tasks", "--at", now()).stdout
    wait_for(lambda: "action" in client("describe", "tasks", made).stdout.split("timeline")[1], 20)
    refused = client("tasks", "--at", "3d")
    assert refused.returncode == 1 and "reaches back to" in refused.stderr
    for words in (["tasks", "--at", "noonish"], ["tasks", "--at", "3d", "--watch"], ["events", "--since", "2h", "--follow"], ["note"]):
        assert client(*words).returncode == 2, words
