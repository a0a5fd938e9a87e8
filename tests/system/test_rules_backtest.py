# SPDX-License-Identifier: MIT
"""`callwatch rules test`: when rules would have fired, by a record in a file and by what callwatchd remembers (here a scripted one, and a real one)."""

import datetime
import json
import os
import subprocess
import urllib.parse

import pytest

from harness import BIN, BUILD, TOP, wait_for
from scripted import Server, answer

BEGAN = datetime.datetime(2026, 11, 30, 2, 0, 0, tzinfo=datetime.timezone.utc)
HEAD = f"""agent: {{ hostname: h, plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins] }}
plugins:
  - {{ plugin: redis-calls, name: calls, extra_fields: {{ worker: worker_id }} }}
  - {{ plugin: steady }}
"""
RULES = """rules:
  - { name: many, metric: "calls_active{health=healthy}", above: 10, clear_below: 5, for: 20s, severity: critical }
  - { name: guarded, metric: "calls_active{health=healthy}", above: 10, while: [calls_started_total>=250] }
  - { name: brief, metric: "calls_active{health=healthy}", above: 10, for: 5m }
  - { name: fast, metric: calls_started_total, rate_above: 60/m, over: 30s }
  - { name: silent, metric: calls_active, absent: 1m }
  - { name: stale, table: calls, where: [health_status=stale], for: 30s, summary: "{{ call_sid }} {{ worker }} {{ from_phone }}" }
  - { name: long, table: calls, where: [duration_seconds>4h] }
  - { name: blind, table: instances, where: [role=source, state=~down|stuck], for: 15s, summary: "{{ subject }}: {{ reason }}" }
  - { name: none, table: dlq, for_plugin: dlq }
  - { name: odd, table: steps, where: [state=odd] }
  - { name: script, metric: of_a_script, above: 1 }
"""
CALL = dict(instance="calls", call_sid="CA1", health_status="healthy", worker="ai-7", from_phone="+1••••••0132", duration_seconds=14390.0,
            heartbeat_age_seconds=3.0)


def at(seconds):
    return (BEGAN + datetime.timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def sample(seconds, metric, value, kind="gauge", **labels):
    return seconds, dict(time=at(seconds), host="h", instance="calls", metric=metric, labels=labels, kind=kind, value=value, interval=10, tags={})


def event(seconds, kind, subject, before, after, by="calls", text=None):
    return seconds, {"id": f"{seconds:06}-{subject}", "time": at(seconds), "kind": kind, "subject": subject, "from": before, "to": after, "by": by, "text": text}


def record(until=600, gap=()):
    lines = []
    for s in range(0, until, 10):
        if s not in gap:
            lines.append(sample(s, "calls_active", 20 if 100 <= s < 200 else 7 if 200 <= s < 300 else 3, health="healthy"))
            lines.append(sample(s, "calls_started_total", s * 2 if s < 200 else 400, kind="counter"))
    lines += [(50, dict(time=at(50), table="calls", row=CALL)),
              event(150, "transition", "calls/CA1", "healthy", "stale"),
              event(250, "transition", "calls/CA1", "stale", None, text="ended"),
              event(300, "source", "calls", "up", "down", by=None, text="connection refused"),
              event(330, "source", "calls", "down", "up", by=None)]
    return "".join(json.dumps(line) + "\n" for _, line in sorted(lines, key=lambda pair: pair[0]))


def run(folder, *words, text=HEAD + RULES, code=0, stdin=None, server=None):
    path = folder / "rules.yaml"
    path.write_text(text)
    address = ["--socket", str(server)] if server else []
    done = subprocess.run([BIN / "callwatch", *address, "--utc", "rules", "test", "-c", path, *map(str, words)], capture_output=True, text=True,
                          input=stdin, timeout=60, env={**os.environ, "TZ": "UTC"})
    assert done.returncode == code, done.stderr + done.stdout
    return done


def blocks(done):
    """name → (headline, lines below it)"""
    found, name = {}, None
    for line in done.stdout.split("\n\nfrom ")[0].splitlines():
        if line.startswith("  "):
            found[name][1].append(line.strip())
        else:
            name = line.split(":")[0].split(" ")[0]
            found[name] = (line, [])
    return found


@pytest.mark.sanitize
def test_a_record_says_when_each_rule_would_have_fired(folder):
    (folder / "record").write_text(record())
    done = run(folder, "--file", folder / "record")
    said = blocks(done)
    assert said["many"] == ("many (critical): would have fired 1 time",
                            ["2026-11-30 02:02:00Z  for 3m 00s, recovered: calls_active{health=healthy} is 20"]), "for 20s, and on until it is below 5"
    assert said["guarded"][1] == ["2026-11-30 02:02:20Z  for 1m 00s, recovered: calls_active{health=healthy} is 20"], "while began to hold at 130 s, after this sample"
    assert said["brief"] == ("brief: would not have fired; it pended 1 time, for 1m 40s of 5m 00s at most", [])
    assert said["fast"][1][0].startswith("2026-11-30 02:00:30Z  for 3m 10s, recovered: calls_started_total grows by 2 a second"), "known when 30 s are over"
    assert said["silent"] == ("silent: would not have fired", [])
    assert said["stale"][1] == ["2026-11-30 02:03:00Z  for 1m 10s, gone: CA1 ai-7 +1••••••0132"]
    assert said["long"][1][0].startswith("2026-11-30 02:01:00Z  for 3m "), "10 s after it was told of, by time alone"
    assert said["blind"][1] == ["2026-11-30 02:05:15Z  for 15s, recovered: calls: connection refused"]
    assert said["none"][0] == "none: sleeps: its plugin is not configured"
    assert said["odd"][0] == "odd: would not have fired, but no row of table steps was told of"
    assert said["script"][0] == "script: cannot be tried: there is no sample of of_a_script"
    assert done.stdout.splitlines()[-1] == "from 2026-11-30 02:00:00Z to 2026-11-30 02:09:50Z: 120 samples, 3 changes of rows, 2 of instances"
    assert done.stderr == ""


def test_time_that_was_not_recorded_neither_fires_nor_counts(folder):
    """The recorder stood still from 110 s to 180 s, and for a night: nothing had been absent, nothing had held for so long."""
    (folder / "record").write_text(record(gap=range(110, 180, 10)))
    said = blocks(run(folder, "--file", folder / "record"))
    assert said["silent"][0] == "silent: would not have fired"
    (folder / "record").write_text(record(until=120) + json.dumps(sample(36000, "calls_active", 20, health="healthy")[1]) + "\n"
                                   + json.dumps(sample(36010, "calls_active", 3, health="healthy")[1]) + "\n")
    said = blocks(run(folder, "--file", folder / "record"))
    assert said["silent"][0] == "silent: would not have fired"
    assert "would not have fired; it pended 1 time" in said["brief"][0], "ten hours in which nobody looked are not five minutes"


def test_one_rule_and_standard_input(folder):
    done = run(folder, "stale", "--file", "-", stdin=record())
    assert list(blocks(done)) == ["stale"]
    still = run(folder, "stale", "--file", "-", stdin=record().replace('"to": null, "by": "calls"', '"to": "stale", "by": "calls"'))
    assert "for 6m 50s, fires still: CA1" in still.stdout


@pytest.mark.sanitize
def test_lines_that_are_none_are_counted(folder):
    junk = 'nonsense\n{"a":1}\n[]\n{"time":"never","metric":"x"}\n\n' + json.dumps({"time": at(1), "table": "nosuch", "row": {}}) + "\n"
    junk += json.dumps({"time": at(1), "table": "calls", "row": {"instance": "calls"}}) + "\n" + json.dumps({"time": at(1), "metric": "calls_active", "instance": "calls",
                                                                                                       "labels": {}, "value": 1}) + "\n"
    done = run(folder, "--file", "-", stdin=junk + record())
    assert "7 of 132 lines are no sample, event or row that is known here" in done.stderr
    assert blocks(done)["many"][1]
    assert "there is nothing in it to try a rule with" in run(folder, "--file", "-", stdin=junk.splitlines()[0] + "\n", code=1).stderr
    assert "there is nothing in it to try a rule with" in run(folder, "--file", "-", stdin="", code=1).stderr


def test_what_is_wrong_is_said(folder):
    assert "No such file" in run(folder, "--file", folder / "nosuch", code=1).stderr
    assert "there is no rule \"stael\" in this configuration, or it is switched off; did you mean `stale`?" in run(folder, "stael", "--file", "-", stdin="", code=2).stderr
    wrong = run(folder, "--file", "-", stdin="", text=HEAD + "rules: [{ name: a, table: cals }]\n", code=78)
    assert f"{folder}/rules.yaml:5:27: table: no configured plugin has a table `cals`" in wrong.stderr
    for words in ((), ("--file", "-", "--since", "7d"), ("stale", "--send", "--file", "-")):
        assert "takes one of --since 7d and --file FILE" in run(folder, *words, stdin="", code=2).stderr
    assert "--since takes how long ago" in run(folder, "--since", "yesterday", server="/nonexistent", code=2).stderr
    assert "cannot reach callwatchd" in run(folder, "--since", "7d", server=folder / "nobody", code=1).stderr


# ---- --since ----

class Memory(Server):
    """A callwatchd that remembers calls: (seconds, call, state) of each change; None: it has gone."""

    def __init__(self, folder):
        super().__init__(folder)
        self.changes, self.unknown = [], None  # unknown: from and until when nobody watched
        self.on("/api/v1/tables/", self.table)

    def table(self, connection):
        path = urllib.parse.urlsplit(self.seen[-1].split(" ")[1])
        query = dict(urllib.parse.parse_qsl(path.query))
        when = (datetime.datetime.fromisoformat(query["at"].replace("Z", "+00:00")) - BEGAN).total_seconds()
        if self.unknown and self.unknown[0] <= when < self.unknown[1]:
            connection.sendall(answer({"detail": "nobody watched then"}, "404 Not Found", kind="application/problem+json"))
            return
        rows = {key: state and dict(CALL, call_sid=key, health_status=state, duration_seconds=when - born) for key, state, born in self.known(when)}
        _, _, _, _, table, *keys = path.path.split("/")
        connection.sendall(answer({"rows": [row for key, row in rows.items() if row and table == "calls" and key in (keys or rows)]}))

    def known(self, when):
        born = {}
        for s, key, state in self.changes:
            born.setdefault(key, s)
            if s < when or s <= 0:
                yield key, state, born[key]


@pytest.fixture
def memory(folder):
    server = Memory(folder)
    yield server
    server.close()


@pytest.mark.sanitize
def test_what_callwatchd_remembers_is_lived_through_again(folder, memory):
    """CA0 was there before; CA1 comes, is stale for a while, and goes; CA2 comes and goes without a change, in four hours."""
    memory.changes = [(-60, "CA0", "healthy"), (10, "CA1", "healthy"), (20, "CA2", "healthy"), (30, "CA0", "stale"), (50, "CA1", "stale"), (100, "CA1", "healthy"),
                      (200, "CA1", None), (5000, "CA0", None), (15000, "CA2", None)]
    memory.on("/api/v1/events?", answer({"rows": [line for _, line in [
        event(20, "transition", "steps/x", None, "odd", by="steady"), event(30, "transition", "calls/CA0", "healthy", "stale"),
        event(50, "transition", "calls/CA1", "healthy", "stale"), event(100, "transition", "calls/CA1", "stale", "healthy"),
        event(5000, "transition", "calls/CA0", "stale", None)]]}))
    done = run(folder, "stale", "--since", at(0), server=memory.path)
    assert blocks(done)["stale"] == ("stale (warning): would have fired 2 times", [
        "2026-11-30 02:01:00Z  for 1h 22m, gone: CA0 ai-7 +1••••••0132", "2026-11-30 02:01:20Z  for 20s, recovered: CA1 ai-7 +1••••••0132"])
    asked = [urllib.parse.unquote(line) for line in memory.seen]
    assert not any("/tables/steps" in line for line in asked), "only what the rule looks at"
    assert any(f"at={at(50.001)}" in line and "/tables/calls/CA1?" in line and "instance=calls" in line for line in asked), "as it was when it was first heard of"
    assert 300 < sum("/tables/calls?" in line for line in asked) < 500
    long = blocks(run(folder, "long", "--since", at(0), server=memory.path))["long"][1]
    assert len(long) == 1 and long[0].startswith("2026-11-30 06:00:20Z  for ") and "CA2" in long[0], "four hours after it began, whenever it was seen to"
    assert "cannot be tried: it is about samples, which callwatchd does not keep" in run(folder, "many", "--since", at(0), server=memory.path).stdout


def test_events_come_in_pages(folder, memory):
    """The second page begins where the first ended, in the same millisecond; nothing is told twice."""
    memory.on("/tables/", answer({"rows": []}))
    first = [event(1 + i // 500, "transition", f"steps/s{i:05}", None, "odd", by="steady")[1] for i in range(5000)]
    second = first[-10:] + [event(20, "transition", "steps/s99999", None, "odd", by="steady")[1]]
    memory.on("/api/v1/events?", answer({"rows": second}))
    memory.on(f"since={urllib.parse.quote(at(0))}", answer({"rows": first}))
    done = run(folder, "odd", "--since", at(0), server=memory.path)
    assert "odd (warning): would have fired 5001 times" in done.stdout


def test_time_of_which_nothing_is_known_does_not_count(folder, memory):
    """callwatchd did not run for an hour: that is said once, and nobody says that it was stale meanwhile."""
    memory.changes = [(-60, "CA0", "healthy"), (3590, "CA0", "stale")]
    memory.unknown = (3595, 86400 * 365)
    memory.on("/api/v1/events?", answer({"rows": [event(3590, "transition", "calls/CA0", "healthy", "stale")[1]]}))
    done = run(folder, "stale", "--since", at(0), server=memory.path)
    assert done.stderr == "callwatch: table calls: nobody watched then\n"
    assert blocks(done)["stale"] == ("stale: would not have fired", []), "it had been stale for 5 of 30 s when nobody watched any more"


def test_a_real_callwatchd_is_asked(daemon, folder):
    """Rows that come and go while it is watched; a rule that is in no configuration of that daemon yet; and what stood so before the time asked about."""
    text = f"agent: {{ hostname: h, interval: 1s, state_dir: {folder}/state, plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins] }}\nplugins:\n  - {{ plugin: steady, rows: 2 }}\n"
    daemon.start(text + f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n")

    def changes():
        return [row for row in daemon.rows("events") if row["kind"] == "transition" and row["subject"] == "steps/step-001" and row["from"]]

    wait_for(lambda: len(changes()) >= 3, 20, what="three changes of a row")
    rules = "rules: [{ name: odd, table: steps, where: [state=odd, step!=step-000], summary: '{{ step }}, {{ seen_age_seconds | duration }}' }]\n"
    wait_for(lambda: len(blocks(run(folder, "odd", "--since", "10m", text=text + rules, server=daemon.socket))["odd"][1]) >= 2, 20, what="the log to have it")
    done = run(folder, "odd", "--since", "10m", text=text + rules, server=daemon.socket)
    fired = blocks(done)["odd"][1]
    assert all(": step-001, " in line and not line.endswith("?") for line in fired), f"rows are as they were: {done.stdout}"
    assert ", recovered: " in fired[0], done.stdout
    assert "would have fired" in run(folder, "odd", "--since", changes()[0]["time"], text=text + rules, server=daemon.socket).stdout


def test_vendor_rules_are_quiet_about_a_quiet_night(folder):
    """Three calls at most, one of which is short, a new one without a heartbeat yet, no dead letter: nobody is woken."""
    lines = []
    for s in range(0, 3600, 10):
        stale = 0
        lines += [sample(s, "calls_active", 1 if s % 600 < 300 else 0, health="healthy"), sample(s, "calls_active", 1 if 300 <= s % 600 < 310 else 0, health="warning"),
                  sample(s, "calls_active", stale, health="stale"), sample(s, "calls_ended_recently", 1 if s % 600 < 300 else 0),
                  sample(s, "redis_clock_skew_seconds", 0.01), sample(s, "calls_started_total", s // 600, kind="counter")]
        if s % 600 < 310:
            lines += [sample(s, "calls_unhealthy_ratio", 1 if s % 600 >= 300 else 0), sample(s, "calls_stale_ratio", 0), sample(s, "calls_short_ratio", 1)]
        for metric in ("dlq_depth", "dlq_overdue_age_max_seconds"):
            lines.append((s, dict(sample(s, metric, 0)[1], instance="dlq")))
        lines += [(s, dict(sample(s, "samples_dropped_total", 0, kind="counter", reason="queue_full")[1], instance="graphite")),
                  (s, dict(sample(s, "notifications_total", 0, kind="counter", outcome="lost")[1], instance="agent")),
                  (s, dict(sample(s, "config_last_reload_successful", 1)[1], instance="agent")),
                  (s, dict(sample(s, "reconciliation_late", 0)[1], instance="reconciliation")),
                  (s, dict(sample(s, "reconciliation_last_run_success", 1)[1], instance="reconciliation"))]
        if s % 600 == 0:
            row = dict(CALL, call_sid=f"CA{s}", duration_seconds=0.0)
            lines += [(s, dict(time=at(s), table="calls", row=row)), event(s + 301, "transition", f"calls/CA{s}", "healthy", "warning"),
                      event(s + 308, "transition", f"calls/CA{s}", "warning", None, text="ended")]
    lines += [event(0, "source", "calls", "starting", "up"), event(1500, "source", "calls", "up", "down", text="connection reset"),
              event(1504, "source", "calls", "down", "up")]
    night = "".join(json.dumps(line) + "\n" for _, line in sorted(lines, key=lambda pair: pair[0]))
    whole = HEAD + "  - { plugin: dlq }\n  - { plugin: reconciliation, mode: celery, url: 'redis://localhost/0' }\n"
    done = run(folder, "-c", TOP / "conf.d/20-rules.yaml", "--file", "-", stdin=night, text=whole)
    assert "would have fired" not in done.stdout, done.stdout
    assert done.stderr == ""
    tried = [name for name, (line, _) in blocks(done).items() if line.startswith(f"{name}: would not have fired")]
    assert len(tried) >= 15, done.stdout


def test_vendor_rules_fire_when_the_workers_die(folder):
    """Eight calls lose their heartbeats together: first nobody beats, then all are stale, and each call is told."""
    lines = [event(0, "source", "calls", "starting", "up")]
    for i in range(8):
        lines.append((0, dict(time=at(0), table="calls", row=dict(CALL, call_sid=f"CA{i}", duration_seconds=60.0, business_name="Acme"))))
        lines += [event(160, "transition", f"calls/CA{i}", "healthy", "warning"), event(220, "transition", f"calls/CA{i}", "warning", "stale"),
                  event(400, "transition", f"calls/CA{i}", "stale", None, text="ended")]
    for s in range(0, 600, 10):
        health = "healthy" if s < 160 else "warning" if s < 220 else "stale"
        there = 8 if s < 400 else 0
        lines += [sample(s, "calls_active", there if health == word else 0, health=word) for word in ("healthy", "warning", "stale")]
        if there:
            lines += [sample(s, "calls_unhealthy_ratio", float(s >= 160)), sample(s, "calls_stale_ratio", float(s >= 220))]
        else:
            lines += [sample(s, "calls_unhealthy_ratio", 0.0), sample(s, "calls_stale_ratio", 0.0)]
    text = "".join(json.dumps(line) + "\n" for _, line in sorted(lines, key=lambda pair: pair[0]))
    said = blocks(run(folder, "-c", TOP / "conf.d/20-rules.yaml", "--file", "-", stdin=text, text=HEAD))
    assert said["heartbeats-stopped"][1] == ["2026-11-30 02:02:55Z  for 3m 45s, recovered: calls_unhealthy_ratio: 100% of all calls give no sign of life (calls)"]
    assert said["calls-stale-many"][1] == ["2026-11-30 02:04:10Z  for 2m 30s, recovered: calls_stale_ratio: 100% of all calls are stale (calls)"]
    assert len(said["call-stale"][1]) == 8 and said["call-stale"][1][0].startswith("2026-11-30 02:03:40Z  for 3m 00s, gone: CA")
    fired = {name for name, (line, _) in said.items() if "would have fired" in line}
    assert fired == {"heartbeats-stopped", "calls-stale-many", "call-stale"}, fired
