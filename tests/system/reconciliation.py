# SPDX-License-Identifier: MIT
"""What the tests of plugin reconciliation share: configurations, and looks at its one table."""

import json
import os

from harness import BUILD, SLOWER, UnixConnection, wait_for

KEY = "canary-KEY-4711"  # must be seen nowhere


def configuration(daemon, options, name="reconciliation", interval="1s", more=""):
    """The plugin as `name` with these options (a dictionary), the web plugin on the daemon's socket, samples on stdout."""
    lines = "".join(f"    {key}: {value}\n" for key, value in options.items())
    return (f"agent: {{ hostname: testhost, interval: {interval}, state_dir: {daemon.folder}/state, plugin_dir: [{BUILD}/plugins] }}\n"
            f"plugins:\n  - plugin: reconciliation\n    name: {name}\n{lines}"
            f"  - {{ plugin: stdout, format: json, interval: 1s }}\n  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n{more}")


def http_configuration(daemon, url, **options):
    key = daemon.folder / "backend.key"
    key.write_text(KEY + "\n")
    os.chmod(key, 0o600)
    return configuration(daemon, {"mode": "http", "url": f'"{url}"', "api_key_file": key, **options})


def celery_configuration(daemon, redis, **options):
    return configuration(daemon, {"mode": "celery", "url": f'"{redis.url}"', **options})


def run_of(daemon, run_id):
    found = [row for row in daemon.rows("runs") if row["run_id"] == run_id]
    return found[0] if found else None


def wait_run(daemon, run_id, deadline=20, **expected):
    """Until a run's row is like this; gives it."""

    def holds():
        row = run_of(daemon, run_id)
        assert row and {key: row[key] for key in expected} == expected, row
        return row

    return wait_for(holds, deadline, what=f"run {run_id} to be {expected}")


def http(daemon, method, path, body=None, **headers):
    """(status, the answer's JSON)."""
    connection = UnixConnection(daemon.socket, 20 * SLOWER)
    try:
        connection.request(method, path, body=None if body is None else json.dumps(body), headers={"Content-Type": "application/json", **headers})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def ask_for_run(daemon, **headers):
    """The id of the task that asks for a run."""
    status, answer = http(daemon, "POST", "/api/v1/actions/reconciliation/run", {}, **headers)
    assert status == 202, answer
    return answer["task_id"]


def task_of(daemon, task_id):
    return next(row for row in daemon.rows("tasks") if row["task_id"] == task_id)


def wait_task(daemon, task_id, state, reason="", deadline=20):
    def holds():
        row = task_of(daemon, task_id)
        assert row["state"] == state and reason in (row["reason"] or ""), row
        return row

    return wait_for(holds, deadline, what=f"task {task_id} to be {state} ({reason})")


def requested_run(daemon, **expected):
    """The row of the one run that was asked for, when it is like this."""

    def holds():
        rows = [row for row in daemon.rows("runs") if row["origin"] == "requested"]
        assert len(rows) == 1 and {key: rows[0][key] for key in expected} == expected, rows
        return rows[0]

    return wait_for(holds, 20, what=f"the run that was asked for to be {expected}")
