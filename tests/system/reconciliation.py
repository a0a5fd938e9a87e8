# SPDX-License-Identifier: MIT
"""What the tests of plugin reconciliation share: configurations, and looks at its one table."""

import os

from harness import BUILD, wait_for

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
