# SPDX-License-Identifier: MIT
"""Rules held against a real Redis: what pends, fires and ends, what is told of it, and what neither fires nor ends because nobody could see."""

import json
import time

import pytest

import harness
from harness import config, wait_for

QUICK = "warning_after: 2s\nstale_after: 4s"

RULES = """
rules:
  - name: call-stale
    table: calls
    where: [health_status=stale]
    for: {hold}
    summary: "{{{{ call_sid }}}} silent for {{{{ heartbeat_age_seconds | duration }}}}"
  - name: source-blind
    table: instances
    where: [role=source, "state=~down|stuck"]
    for: 1s
    severity: critical
    summary: "{{{{ subject }}}} sees nothing"
  - name: many-stale
    metric: calls_active{{health=stale}}
    above: 0
    for: {hold}
"""


TELL = """
notify:
  group_wait: 1s
  group_interval: 2s
  repeat_interval: 1h
"""


def rules(hold="2s"):
    return RULES.format(hold=hold)


class Herald:
    """The test notifier `herald`: a line of JSON for each notice, in a file."""

    def __init__(self, daemon, name="herald"):
        self.path, self.name = daemon.folder / f"{name}.told", name

    @property
    def entry(self):
        return f"- {{ plugin: herald, name: {self.name}, path: {self.path} }}"

    def notices(self, rule=None):
        lines = self.path.read_text().split("\n")[:-1] if self.path.exists() else []
        return [notice for notice in map(json.loads, lines) if rule in (None, notice["rule"])]


def told(daemon, redis, herald, rules, calls=QUICK, tell=TELL, more=""):
    text = config(daemon, redis.url, calls=calls, more=herald.entry + more)
    return text.replace(f"plugin_dir: [{harness.BUILD}/plugins]", f"plugin_dir: [{harness.BUILD}/plugins, {harness.BUILD}/tests/plugins]") + tell + rules


def alerts(daemon, **query):
    return daemon.rows("alerts", limit=0, **query)


def states(daemon, rule):
    """By subject."""
    return {row["subject"]: row["state"] for row in alerts(daemon, where=f"alert={rule}")}


def events(daemon, rule):
    """(subject, from, to) in the order in which they happened."""
    rows = daemon.rows("events", where="kind=alert", sort="id", limit=0)
    return [(row["subject"], row["from"], row["to"]) for row in rows if row["by"] == rule]


def wait_complete(daemon, n):
    wait_for(lambda: (answer := daemon.table("calls", limit=1))["complete"] and answer["total"] == n, 30, what=f"a complete table of {n} calls")


@pytest.mark.sanitize
def test_a_call_goes_silent_and_comes_back(redis, make_sim, daemon):
    sim = make_sim(redis.url, "--calls", 20, "--beat", "500ms")
    daemon.start(config(daemon, redis.url, calls=QUICK) + rules())
    wait_complete(daemon, 20)
    assert alerts(daemon) == []
    sim.say("stale 1")
    pending = wait_for(lambda: alerts(daemon, where="alert=call-stale"), 20)[0]
    assert pending["state"] in ("pending", "firing") and pending["instance"] == "calls"
    firing = wait_for(lambda: [row for row in alerts(daemon, where="alert=call-stale") if row["state"] == "firing"], 20)[0]
    assert firing["subject"] in firing["summary"] and "silent for" in firing["summary"]
    assert firing["firing_since"] > firing["pending_since"] and firing["severity"] == "warning"
    wait_for(lambda: states(daemon, "many-stale") == {"calls_active{health=stale}": "firing"}, 20)
    sim.say("resume")
    wait_for(lambda: states(daemon, "call-stale") == {firing["subject"]: "resolved"}, 20)
    wait_for(lambda: states(daemon, "many-stale") == {"calls_active{health=stale}": "resolved"}, 20)
    subject = f"calls/{firing['subject']}"
    assert events(daemon, "call-stale") == [(subject, None, "pending"), (subject, "pending", "firing"), (subject, "firing", "resolved")]
    assert alerts(daemon, where="alert=call-stale", columns="reason")[0]["reason"] == "recovered"
    assert not daemon.rows("events", where=["kind=transition", "subject~alerts/"])
    daemon.stop()
    daemon.check_clean()


@pytest.mark.sanitize
def test_what_fires_is_told_once_and_so_is_its_end(redis, make_sim, daemon):
    sim = make_sim(redis.url, "--calls", 40, "--beat", "500ms")
    herald = Herald(daemon)
    daemon.start(told(daemon, redis, herald, rules()))
    wait_complete(daemon, 40)
    sim.say("stale 7")
    first = wait_for(lambda: herald.notices("call-stale"), 25)[0]
    assert first["kind"] == "firing" and first["firing"] >= 1
    wait_for(lambda: max(n["firing"] for n in herald.notices("call-stale")) == 7, 25)
    wait_for(lambda: all("herald" in (row["notified"] or "") for row in alerts(daemon, where="alert=call-stale")), 10)
    sim.say("resume")
    wait_for(lambda: herald.notices("call-stale")[-1]["kind"] == "resolved", 25)
    notices = herald.notices("call-stale")
    assert len({n["incident"] for n in notices}) == 1 and len({n["id"] for n in notices}) == len(notices)
    assert [n["sequence"] for n in notices] == list(range(1, len(notices) + 1))
    assert wait_for(lambda: [row["state"] for row in daemon.rows("notifications", where="alert=call-stale")] == ["sent"] * len(notices))
    daemon.stop()
    daemon.check_clean()
