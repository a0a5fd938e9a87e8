# SPDX-License-Identifier: MIT
"""Plugin reconciliation, mode celery, against a real Celery worker; row 34 of the fault matrix."""

import json
import re
import subprocess
import sys
import uuid

import pytest

from harness import BIN, BUILD, TOOLS, Process, samples, wait_for
from reconciliation import celery_configuration, run_of, wait_run

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
