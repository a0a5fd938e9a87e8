# SPDX-License-Identifier: MIT
"""Plugin reconciliation, mode celery, against a real Celery worker; row 34 of the fault matrix."""

import json
import pickle
import re
import subprocess
import sys
import uuid

import pytest

from harness import BIN, BUILD, TOOLS, Process, run_once, samples, wait_for
from reconciliation import ask_for_run, celery_configuration, http, requested_run, run_of, task_of, wait_run, wait_task

celery_app = pytest.importorskip("celery_app", reason="python3-celery is not installed")


@pytest.fixture
def make_worker(folder, redis):
    """make_worker("--track"): a started worker on the test's Redis; what a run does is said by redis.behave()."""
    workers = []

    def make(*arguments):
        worker = Process(folder, f"worker{len(workers)}", [sys.executable, TOOLS / "celery_app.py", f"{redis.tcp_url}/0", *arguments])
        workers.append(worker)
        wait_for(lambda: "ready." in worker.stderr, 30, what="the Celery worker to be ready")
        return worker

    yield make
    for worker in workers:
        kill_with_children(worker)


def kill_with_children(worker):
    children = subprocess.run(["pgrep", "-P", str(worker.pid)], capture_output=True, text=True).stdout.split()
    worker.kill()
    for child in children:
        subprocess.run(["kill", "-9", child], capture_output=True)


def behave(redis, words):
    redis.client.set("celery-app:behaviour", words)


def send(redis):
    """As another program of the platform would: the task's id."""
    return str(celery_app.make_app(f"{redis.tcp_url}/0").send_task(celery_app.TASK).id)


def meta(redis, task_id, value):
    redis.client.set(f"celery-task-meta-{task_id}", value if isinstance(value, (bytes, str)) else json.dumps(value))


def last_value(daemon, metric, **labels):
    found = [s["value"] for s in samples(daemon) if s["metric"] == metric and s["labels"] == labels]
    return found[-1] if found else None


@pytest.mark.sanitize
def test_runs_of_others_are_found_in_the_results(redis, make_worker, daemon):
    make_worker()
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    good = send(redis)
    row = wait_run(daemon, good, status="success", missing_count=3, queued_count=2)
    assert row["origin"] == "observed" and row["finished_at"]
    wait_for(lambda: last_value(daemon, "reconciliation_last_run_success") == 1)
    behave(redis, "fail 40")
    bad = send(redis)
    assert wait_run(daemon, bad, status="error")["error"] == "ValueError: " + "x" * 40
    wait_for(lambda: last_value(daemon, "reconciliation_last_run_success") == 0)


def test_results_of_other_tasks_are_not_runs(redis, daemon):
    others = [str(uuid.uuid4()) for _ in range(5)]
    meta(redis, others[0], {"status": "SUCCESS", "result": {"sent": 1}})
    meta(redis, others[1], {"status": "FAILURE", "result": {"exc_type": "E", "exc_message": []}, "traceback": "in send_mail\n"})
    meta(redis, others[2], {"status": "SUCCESS", "result": {"missing_count": 1, "queued_count": 1}, "name": "app.other"})
    meta(redis, others[3], b"\x80\x04K\x01.")
    redis.client.lpush(f"celery-task-meta-{others[4]}", "x")
    ours = str(uuid.uuid4())
    meta(redis, ours, {"status": "FAILURE", "result": {"exc_type": "E", "exc_message": "x"}, "name": celery_app.TASK})
    daemon.start(celery_configuration(daemon, redis))
    wait_run(daemon, ours, status="error")
    assert [row["run_id"] for row in daemon.rows("runs")] == [ours]


def test_once_reads_all_results_and_passes_over_large_ones(redis, daemon, folder):
    for i in range(300):
        meta(redis, f"other-{i}", {"status": "SUCCESS", "result": {"sent": i}})
    meta(redis, "large", {"status": "SUCCESS", "result": {"missing_count": 9, "queued_count": 9, "more": "x" * 100000}})
    meta(redis, "ours", {"status": "SUCCESS", "result": {"missing_count": 7, "queued_count": 6}, "date_done": "2026-11-25T12:00:00"})
    for i in range(3000):
        redis.client.set(f"unrelated:{i}", 1)
    text = celery_configuration(daemon, redis).replace("  - { plugin: stdout, format: json, interval: 1s }\n", "")
    done = run_once(folder, text, "--once", "--format", "json")
    assert done.returncode == 0, done.stderr
    values = {sample["metric"]: sample["value"] for sample in map(json.loads, done.stdout.splitlines())}
    assert (values["reconciliation_missing"], values["reconciliation_queued"], values["celery_queue_length"]) == (7, 6, 0)


def test_the_queue_s_length_is_told(redis, daemon):
    for _ in range(3):
        send(redis)
    daemon.start(celery_configuration(daemon, redis))
    wait_for(lambda: last_value(daemon, "celery_queue_length", queue="celery") == 3)
    redis.client.delete("celery")
    redis.client.set("celery", "x")
    daemon.wait_state("degraded", "no list", name="reconciliation")
    redis.client.delete("celery")
    daemon.wait_state("up", name="reconciliation")


def test_rights_that_are_missing_are_named(redis, daemon, client):
    shown = subprocess.run([BIN / "callwatch", "plugins", BUILD / "plugins/reconciliation.so"], capture_output=True, text=True, check=True).stdout
    line = re.search(r"ACL SETUSER .*", shown)[0].split()
    redis.client.execute_command(*line)
    text = celery_configuration(daemon, redis, username="callwatch", password="PASSWORD")
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    assert client("doctor", "reconciliation").returncode == 0
    assert not redis.client.execute_command("ACL", "LOG")
    redis.client.execute_command("ACL", "SETUSER", "callwatch", "-scan")
    daemon.wait_state("degraded", "may not run SCAN (NOPERM)", name="reconciliation")
    redis.client.execute_command("ACL", "SETUSER", "callwatch", "-llen", "+scan")
    daemon.wait_state("degraded", "may not run LLEN (NOPERM)", name="reconciliation")
    assert "+llen" in client("doctor", "reconciliation").stdout


def test_redis_that_goes_and_comes_back(redis, daemon):
    ours = str(uuid.uuid4())
    meta(redis, ours, {"status": "SUCCESS", "result": {"missing_count": 0, "queued_count": 0}, "name": celery_app.TASK})
    daemon.start(celery_configuration(daemon, redis))
    wait_run(daemon, ours, status="success")
    redis.stop()
    daemon.wait_state("down", name="reconciliation")
    assert run_of(daemon, ours)["status"] == "success"
    redis.start()
    daemon.wait_state("up", name="reconciliation", deadline=40)
    assert run_of(daemon, ours)["status"] == "success"  # what ended stays so: its result is gone


# ---- action `run` ----


@pytest.mark.sanitize
def test_a_run_from_trigger_to_success(redis, make_worker, daemon):
    make_worker("--track")
    behave(redis, "slow 2")
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    row = requested_run(daemon, status="running")
    assert row["started_at"] and row["requested_at"] and row["task_id"] == row["run_id"]
    wait_for(lambda: task_of(daemon, task)["text"] == row["run_id"])
    status, answer = http(daemon, "POST", "/api/v1/actions/reconciliation/run", {})
    assert status == 409 and answer["task"] == task  # one at a time
    wait_task(daemon, task, "success", "3 missing, 2 queued again")
    row = requested_run(daemon, status="success", missing_count=3, queued_count=2, error=None)
    assert row["finished_at"] >= row["started_at"] and 0.5 < row["duration_seconds"] < 60
    assert row["requested_by"] == task_of(daemon, task)["requested_by"]
    wait_for(lambda: last_value(daemon, "reconciliation_runs_total", status="success") == 1)
    redis.client.delete(f"celery-task-meta-{row['task_id']}")
    behave(redis, "words")
    task = ask_for_run(daemon)  # the next may begin, and what another task returns is no count
    wait_task(daemon, task, "success", "it succeeded")
    other = run_of(daemon, task_of(daemon, task)["text"])
    assert (other["missing_count"], other["queued_count"]) == (None, None)
    assert run_of(daemon, row["run_id"])["status"] == "success"  # its result has expired, and that takes nothing back


def test_a_failure_with_a_megabyte_of_traceback(redis, make_worker, daemon):
    make_worker()
    behave(redis, "fail 1000000")
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    wait_task(daemon, task, "error", "ValueError: xxx", deadline=30)
    row = requested_run(daemon, status="error")
    assert redis.client.strlen(f"celery-task-meta-{row['task_id']}") > 2000000
    assert 100 < len(row["error"]) < 400
    wait_for(lambda: last_value(daemon, "reconciliation_runs_total", status="error") == 1)


def test_a_run_that_celery_tries_again(redis, make_worker, daemon):
    make_worker()
    behave(redis, "retry")
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    requested_run(daemon, status="running", error="it will be tried again: RuntimeError: not yet")
    wait_task(daemon, task, "success", "3 missing, 2 queued again")
    requested_run(daemon, status="success", error=None)


def test_a_worker_that_is_killed_loses_its_run_until_the_truth_comes(redis, make_worker, daemon):
    worker = make_worker("--track")
    behave(redis, "hang")
    daemon.start(celery_configuration(daemon, redis, lost_after="2s"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    row = requested_run(daemon, status="running")
    kill_with_children(worker)
    wait_task(daemon, task, "lost", "it was killed, or takes longer than lost_after")
    requested_run(daemon, status="lost")
    wait_for(lambda: last_value(daemon, "reconciliation_runs_total", status="lost") == 1)
    assert last_value(daemon, "reconciliation_last_run_success") is None  # nobody knows
    meta(redis, row["task_id"], {"status": "SUCCESS", "result": {"missing_count": 1, "queued_count": 0}})
    requested_run(daemon, status="success", missing_count=1, queued_count=0)


def test_what_waits_in_the_queue_is_not_lost_and_what_left_it_unheard_is(redis, daemon):
    daemon.start(celery_configuration(daemon, redis, lost_after="1s"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    requested_run(daemon, status="queued", error="it still waits in the queue: is a worker running?")
    assert task_of(daemon, task)["state"] == "running"
    assert redis.client.delete("celery") == 1
    wait_task(daemon, task, "lost", "it never ran, its worker died, or the result expired")
    requested_run(daemon, status="lost")


def test_a_run_is_lost_while_redis_is_down_and_no_more_when_it_waits_in_the_queue(redis, daemon):
    daemon.start(celery_configuration(daemon, redis, lost_after="3s"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    requested_run(daemon, status="queued", error="it still waits in the queue: is a worker running?")  # longer than lost_after
    message = redis.client.lindex("celery", 0)
    redis.stop()
    daemon.wait_state("down", name="reconciliation")
    wait_task(daemon, task, "lost", "Redis cannot be asked now, nothing was heard of it for 3s")
    requested_run(daemon, status="lost")
    redis.start()
    redis.client.lpush("celery", message)
    requested_run(daemon, status="queued")


def test_a_run_whose_result_may_not_be_read_is_lost(redis, daemon):
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all")
    daemon.start(celery_configuration(daemon, redis, lost_after="2s", username="watcher", password="pass-4711"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    wait_for(lambda: redis.client.llen("celery") == 1)
    redis.client.execute_command("ACL", "SETUSER", "watcher", "-getrange")
    assert redis.client.delete("celery") == 1
    wait_task(daemon, task, "lost", "its result cannot be read, nothing was heard of it for 2s: ")


def test_without_lpos_an_empty_queue_tells(redis, daemon):
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all", "-lpos")
    daemon.start(celery_configuration(daemon, redis, lost_after="3s", username="watcher", password="pass-4711"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    wait_for(lambda: redis.client.delete("celery") == 1)
    wait_task(daemon, task, "lost", "not in the queue")


def test_what_may_not_be_put_into_the_queue_is_an_error_and_no_run(redis, daemon):
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all", "-lpush")
    daemon.start(celery_configuration(daemon, redis, cool_down="1h", username="watcher", password="pass-4711"))
    daemon.wait_state("up", name="reconciliation")
    wait_task(daemon, ask_for_run(daemon), "error", "may not run LPUSH (NOPERM)")
    assert daemon.rows("runs") == []
    redis.client.execute_command("ACL", "SETUSER", "watcher", "+lpush")
    first = ask_for_run(daemon)  # what was not sent needs no pause
    row = requested_run(daemon, status="queued")
    meta(redis, row["task_id"], {"status": "SUCCESS", "result": None})
    wait_task(daemon, first, "success")
    wait_task(daemon, ask_for_run(daemon), "error", "cool_down: a run was asked for")


def test_a_run_goes_on_when_callwatch_is_killed(redis, make_worker, daemon):
    make_worker("--track")
    behave(redis, "slow 3")
    text = celery_configuration(daemon, redis)
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    row = requested_run(daemon, status="running")
    wait_for(lambda: '"running"' in (daemon.folder / "state/reconciliation/runs").read_text())
    daemon.process.kill()
    daemon.start(text)
    wait_task(daemon, task, "lost")
    again = ask_for_run(daemon)  # the core's task is lost, but the run is not over
    wait_task(daemon, again, "error", f"run {row['run_id']} is still running")
    after = requested_run(daemon, status="success")
    assert (after["run_id"], after["requested_by"], after["started_at"]) == (row["run_id"], row["requested_by"], row["started_at"])


def test_a_result_that_expired_while_nobody_looked(redis, make_worker, daemon):
    text = celery_configuration(daemon, redis, lost_after="2s")
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    ask_for_run(daemon)
    row = requested_run(daemon, status="queued")
    daemon.stop()
    make_worker("--expires", 1)
    key = f"celery-task-meta-{row['task_id']}"
    wait_for(lambda: redis.client.exists(key), 20)
    wait_for(lambda: not redis.client.exists(key), 20)
    daemon.start(text)
    row = requested_run(daemon, status="lost")
    assert "the result expired" in row["error"]


# ---- 34: results that cannot be read ----


def test_fault_34_a_pickled_result_is_named(redis, make_worker, daemon):
    make_worker("--pickle")
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    wait_task(daemon, task, "lost", "unreadable: it is a pickle, which is never interpreted")
    row = requested_run(daemon, status="lost")
    assert (row["missing_count"], row["finished_at"]) == (None, None)


class Bomb:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (open, (str(self.path), "w"))


@pytest.mark.parametrize("value, says", [
    ("pickle", "a pickle"), ("nonsense", "not JSON"), ("[" * 100000, "not JSON"), ("list", "not JSON"), ("large", "too large")])
def test_fault_34_whatever_is_there_is_shown_as_unreadable_and_never_run(redis, daemon, folder, value, says):
    daemon.start(celery_configuration(daemon, redis))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    row = requested_run(daemon, status="queued")
    bomb = folder / "exploded"
    if value == "list":
        redis.client.lpush(f"celery-task-meta-{row['task_id']}", "x")
    elif value == "large":
        redis.client.setrange(f"celery-task-meta-{row['task_id']}", 50 << 20, "x")
    else:
        meta(redis, row["task_id"], pickle.dumps(Bomb(bomb)) if value == "pickle" else value)
    wait_task(daemon, task, "lost", f"its result is unreadable: it is {says}")
    assert not bomb.exists()
    wait_for(lambda: daemon.instance("reconciliation")["malformed"] == 1)
    assert daemon.process.rss_kib() < (48 << 10) * (10 if "asan" in str(BUILD) else 1)


def test_fault_34_a_task_nobody_knows_is_lost_and_does_not_wait(redis, daemon):
    daemon.start(celery_configuration(daemon, redis, lost_after="1s"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    row = requested_run(daemon)
    wait_for(lambda: redis.client.llen("celery") == 1)
    redis.client.flushall()
    wait_task(daemon, task, "lost", "Celery knows no result of it, and it is not in the queue")
    assert run_of(daemon, row["run_id"])["status"] == "lost"
