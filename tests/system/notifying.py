# SPDX-License-Identifier: MIT
"""What the tests of notifiers share: alerts that fire and end when a test says so, and looks at what became of their notices."""

import os

from harness import BUILD, wait_for

USER = ", user: nobody" if os.getuid() == 0 else ""  # as root no script is run
CANARIES = ("hookSecret4711", "xoxb-canary-token-4711", "hmac-canary-secret-4711", "header-canary-4711")


def secret(daemon, name, text):
    """The path of a file that only its owner reads."""
    path = daemon.folder / name
    path.write_text(text + "\n")
    path.chmod(0o600)
    return path


class Levels:
    """A script's gauges level_0 … level_N; each has a rule `high-I` (above 10), so each is a group and an incident of its own."""

    def __init__(self, daemon, n=1):
        os.chmod(daemon.folder, 0o755)
        self.file = daemon.folder / "levels"
        self.values = [0] * n
        self.set()

    def set(self, *which, to=0):
        for i in which:
            self.values[i] = to
        new = self.file.with_suffix(".new")
        new.write_text("".join(f"level_{i} {value}\n" for i, value in enumerate(self.values)))
        new.replace(self.file)

    def fire(self, *which):
        self.set(*which, to=20)

    def end(self, *which):
        self.set(*which, to=1)

    def config(self, daemon, notifiers, notify="group_wait: 300ms, group_interval: 1s", summary="it is {{ value }}", agent=""):
        """`notifiers`: lines of YAML below `plugins:`."""
        rules = "".join(
            f"  - {{ name: high-{i}, metric: level_{i}, above: 10, severity: critical, summary: \"{summary}\", description: \"Turn it down.\" }}\n"
            for i in range(len(self.values)))
        return (f"agent: {{ hostname: testhost, interval: 500ms, state_dir: {daemon.folder}/state, plugin_dir: [{BUILD}/plugins]{agent} }}\n"
                f"plugins:\n  - {{ plugin: exec, name: levels, command: [/bin/cat, {self.file}], format: prometheus, interval: 500ms{USER} }}\n"
                f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n{notifiers}notify: {{ {notify} }}\nrules:\n{rules}")


def notices(daemon, **expected):
    """Rows of table `notifications` that are like this."""
    return [row for row in daemon.rows("notifications") if {key: row[key] for key in expected} == expected]


def wait_notices(daemon, n, deadline=20, **expected):
    def holds():
        found = notices(daemon, **expected)
        assert len(found) == n, daemon.rows("notifications")
        return found

    return wait_for(holds, deadline, what=f"{n} notices {expected}")


def everything_shown(daemon):
    """All texts that anybody may read: log, samples, tables, events, metrics, and the bytes of the journal."""
    tables = [table["name"] for table in daemon.get("/api/v1/tables")["tables"]]
    shown = {f"table {name}": str(daemon.rows(name)) for name in tables}
    shown |= {"log": daemon.stderr, "stdout": daemon.process.stdout, "metrics": daemon.request("GET", "/metrics")[1].decode()}
    for path in (daemon.folder / "state").rglob("*"):
        if path.is_file():
            shown[str(path)] = path.read_bytes().decode("latin-1")
    return shown


def assert_no_secret(daemon, *more):
    for where, text in everything_shown(daemon).items():
        found = [canary for canary in (*CANARIES, *more) if canary in text]
        assert not found, f"{found} in {where}"
