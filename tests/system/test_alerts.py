# SPDX-License-Identifier: MIT
"""Rules held against a real Redis: what pends, fires and ends, what is told of it, and what neither fires nor ends because nobody could see."""

import json
import time
from pathlib import Path

import pytest

import harness
from harness import config, wait_for
from notifying import Levels

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


# ---- who cannot see does not judge ----


def start_with_stale(redis, make_sim, daemon, calls=30, stale=5, hold="1s", **how):
    """Calls, some of them stale and told of."""
    sim = make_sim(redis.url, "--calls", calls, "--beat", "500ms")
    herald = Herald(daemon)
    daemon.start(told(daemon, redis, herald, rules(hold)), **how)
    wait_complete(daemon, calls)
    sim.say(f"stale {stale}")
    wait_for(lambda: list(states(daemon, "call-stale").values()) == ["firing"] * stale, 30)
    wait_for(lambda: herald.notices("call-stale") and herald.notices("call-stale")[-1]["firing"] == stale, 20)
    wait_for(lambda: herald.notices("many-stale"), 20)
    return sim, herald


@pytest.mark.sanitize
def test_fault_01_a_source_that_was_never_there_is_one_alert(make_redis, make_sim, daemon):
    redis = make_redis(start=False)
    herald = Herald(daemon)
    daemon.start(told(daemon, redis, herald, rules()))
    blind = wait_for(lambda: [row for row in alerts(daemon) if row["state"] == "firing"], 20)
    assert [(row["alert"], row["subject"], row["instance"]) for row in blind] == [("source-blind", "calls", "calls")]
    wait_for(lambda: len(herald.notices()) == 1, 10)
    redis.start()
    make_sim(redis.url, "--calls", 10, "--beat", "500ms")
    wait_for(lambda: states(daemon, "source-blind") == {"calls": "resolved"}, 40)
    wait_for(lambda: [n["kind"] for n in herald.notices()] == ["firing", "resolved"], 10)
    assert {row["alert"] for row in alerts(daemon)} == {"source-blind"}


def test_fault_03_a_redis_that_comes_back_empty_ends_them_in_one_message(redis, make_sim, daemon):
    sim, herald = start_with_stale(redis, make_sim, daemon, calls=120, stale=100)
    before = len(herald.notices("call-stale"))
    sim.stop()
    redis.restart(empty=True)
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"resolved"}, 40)
    wait_for(lambda: len(herald.notices("call-stale")) > before, 10)
    after = herald.notices("call-stale")[before:]
    assert [n["kind"] for n in after] == ["resolved"], "one message for all of them"
    assert {row["reason"] for row in alerts(daemon, where="alert=call-stale", columns="reason")} == {"gone"}


@pytest.mark.sanitize
def test_fault_04_a_source_that_is_blind_is_one_alert_and_ends_none(redis, make_sim, daemon):
    sim, herald = start_with_stale(redis, make_sim, daemon)
    stale = set(states(daemon, "call-stale"))
    redis.freeze()
    wait_for(lambda: states(daemon, "source-blind") == {"calls": "firing"}, 30)
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"unknown"})
    assert set(states(daemon, "many-stale").values()) == {"unknown"}
    seen = len(events(daemon, "call-stale"))
    time.sleep(6)  # the fault itself: longer than all that is waited for
    assert len(events(daemon, "call-stale")) == seen and set(states(daemon, "call-stale")) == stale
    redis.thaw()
    wait_for(lambda: states(daemon, "source-blind") == {"calls": "resolved"}, 40)
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"firing"}, 10)
    assert not [e for e in events(daemon, "call-stale") if e[2] == "resolved"], "none ended because nobody could see"
    assert [n["kind"] for n in herald.notices("source-blind")][:1] == ["firing"]
    assert len([n for n in herald.notices("source-blind") if n["kind"] == "firing"]) == 1
    sim.say("resume")
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"resolved"}, 30)


@pytest.mark.parametrize("step", ["-1h", "+1d"])
def test_fault_23_clock_steps_fire_and_resolve_nothing(redis, make_sim, daemon, folder, step):
    if harness.SANITIZED:
        pytest.skip("libfaketime and the sanitizers do not go together")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    rc = folder / "faketime.rc"
    rc.write_text("+0\n")
    sim, herald = start_with_stale(redis, make_sim, daemon, env={
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(rc), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1"})
    before, notices = [events(daemon, rule) for rule in ("call-stale", "many-stale", "source-blind")], len(herald.notices())
    rc.write_text(step + "\n")
    wait_for(lambda: daemon.rows("events", where=["kind=note", "text~stepped"]), what="a word about the step")
    time.sleep(5)  # the fault itself: longer than all that is waited for
    assert [events(daemon, rule) for rule in ("call-stale", "many-stale", "source-blind")] == before
    assert set(states(daemon, "call-stale").values()) == {"firing"} and len(herald.notices()) == notices
    sim.say("resume")
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"resolved"}, 30)
    wait_for(lambda: herald.notices("call-stale")[-1]["kind"] == "resolved", 20)


@pytest.mark.sanitize
def test_fault_24_an_agent_that_was_stopped_fires_and_resolves_nothing(redis, make_sim, daemon):
    sim, herald = start_with_stale(redis, make_sim, daemon, hold="12s")
    sim.say("stale 3")  # these pend
    wait_for(lambda: sorted(states(daemon, "call-stale").values()).count("pending") == 3, 20)
    before, notices = [events(daemon, rule) for rule in ("call-stale", "many-stale", "source-blind")], len(herald.notices())
    daemon.process.freeze()
    time.sleep(14)  # the fault itself: longer than `for`
    daemon.process.thaw()
    wait_for(lambda: daemon.rows("events", where=["kind=note", "text~nothing was watched"]), 10)
    time.sleep(2)  # what would fire by the agent's own sleep would by now
    assert [events(daemon, rule) for rule in ("call-stale", "many-stale", "source-blind")] == before
    assert len(herald.notices()) == notices
    wait_for(lambda: list(states(daemon, "call-stale").values()) == ["firing"] * 8, 40)


# ---- another life, another configuration ----


@pytest.mark.sanitize
def test_for_goes_on_over_a_restart_and_nothing_is_told_twice(redis, make_sim, daemon):
    sim, herald = start_with_stale(redis, make_sim, daemon, hold="6s")
    sim.say("stale 2")
    wait_for(lambda: sorted(states(daemon, "call-stale").values()).count("pending") == 2, 20)
    ids = {row["subject"]: row["pending_since"] for row in alerts(daemon, where="alert=call-stale")}
    notices = herald.notices("call-stale")
    text = told(daemon, redis, herald, rules("6s"))
    daemon.stop()
    daemon.start(text)
    wait_for(lambda: list(states(daemon, "call-stale").values()) == ["firing"] * 7, 30)
    assert {row["subject"]: row["pending_since"] for row in alerts(daemon, where="alert=call-stale")} == ids, "the same lives"
    wait_for(lambda: herald.notices("call-stale")[-1]["firing"] == 7, 20)
    assert {n["incident"] for n in herald.notices("call-stale")} == {notices[0]["incident"]}
    assert len({n["id"] for n in herald.notices()}) == len(herald.notices()), "no notice twice"
    assert not states(daemon, "source-blind")
    sim.say("resume")
    wait_for(lambda: herald.notices("call-stale")[-1]["kind"] == "resolved", 30)


@pytest.mark.sanitize
def test_a_reload_ends_what_its_rules_no_longer_say(redis, make_sim, daemon):
    sim, herald = start_with_stale(redis, make_sim, daemon)
    text = told(daemon, redis, herald, rules("1s"))
    daemon.configure(text.replace("name: call-stale", "name: call-silent"))
    daemon.hup()
    wait_for(lambda: set(states(daemon, "call-stale").values()) == {"resolved"}, 10)
    assert {row["reason"] for row in alerts(daemon, where="alert=call-stale", columns="reason")} == {"rule removed"}
    wait_for(lambda: list(states(daemon, "call-silent").values()) == ["firing"] * 5, 20)
    assert set(states(daemon, "many-stale").values()) == {"firing"}, "what did not change goes on"
    assert [e[2] for e in events(daemon, "many-stale")] == ["pending", "firing"]
    daemon.configure(text.replace("name: calls\n", "name: other\n"))
    daemon.hup()
    wait_for(lambda: [(row["state"], row["reason"]) for row in alerts(daemon, columns="state,reason", where=["instance=calls", "alert=many-stale"])]
             == [("resolved", "source removed")], 10)


# ---- people ----


def client(daemon, *arguments):
    done = harness.run_client(daemon, *arguments)
    assert done.returncode == 0, (done.stdout, done.stderr)
    return done.stdout


@pytest.mark.sanitize
def test_what_people_do_about_alerts_is_kept(redis, make_sim, daemon):
    sim = make_sim(redis.url, "--calls", 30, "--beat", "500ms")
    herald = Herald(daemon)
    text = told(daemon, redis, herald, rules("1s"))
    daemon.start(text)
    wait_complete(daemon, 30)
    client(daemon, "silence", "add", "alertname=call-stale", "-d", "2h", "-c", "we know, ask +14155550132")
    (silence,) = daemon.rows("silences")
    sim.say("stale 4")
    wait_for(lambda: [row["silenced_by"] for row in alerts(daemon, where="alert=call-stale") if row["state"] == "firing"] == [silence["id"]] * 4, 20)
    wait_for(lambda: herald.notices("many-stale"), 10)
    wait_for(lambda: daemon.rows("silences")[0]["mutes"] == 4, 10)
    assert not herald.notices("call-stale")
    daemon.stop()
    daemon.start(text)
    assert [(row["id"], row["comment"]) for row in wait_for(lambda: daemon.rows("silences"))] == [(silence["id"], "we know, ask +1••••••0132")]
    wait_for(lambda: [row["silenced_by"] for row in alerts(daemon, where="alert=call-stale") if row["state"] == "firing"] == [silence["id"]] * 4, 20)
    client(daemon, "silence", "expire", silence["id"])
    notice = wait_for(lambda: herald.notices("call-stale"), 20)[0]
    assert notice["firing"] == 4
    note = "on it: +1•••••••••••0132"
    client(daemon, "ack", "call-stale", "-m", "on it: +1 (415) 555-0132")
    assert {row["ack_note"] for row in alerts(daemon, where="alert=call-stale", columns="ack_note")} == {note}
    assert {("silence", "expired"), ("ack", None)} <= {(row["kind"], row["to"]) for row in daemon.rows("events")}
    daemon.stop()
    daemon.start(text)
    wait_for(lambda: {row["ack_note"] for row in alerts(daemon, where="alert=call-stale", columns="ack_note")} == {note}, 10)
    kept = b"".join(path.read_bytes() for path in (daemon.folder / "state").glob("*.db*"))
    assert b"we know, ask" in kept and b"5550132" not in kept and b"555-0132" not in kept
    client(daemon, "rules", "test", "many-stale", "--send")
    wait_for(lambda: [n["kind"] for n in herald.notices("many-stale")][-1] == "test", 10)
    daemon.stop()
    daemon.check_clean()


# ---- many ----


@pytest.mark.large
def test_thousands_that_go_stale_together_are_one_message(redis, make_sim, daemon):
    calls = 5000 if harness.LARGE else 3000
    sim = make_sim(redis.url, "--calls", calls + 200, "--beat", "2s", "--workers", 4)
    herald = Herald(daemon)
    tell = "notify: { group_wait: 8s, group_interval: 5m, repeat_interval: 4h }\n"
    daemon.start(told(daemon, redis, herald, rules("0s").replace("for: 0s", "").replace("    for: 1s", ""), calls="warning_after: 5s\nstale_after: 8s", tell=tell))
    wait_complete(daemon, calls + 200)
    sim.say(f"stale {calls}")
    notice = wait_for(lambda: herald.notices("call-stale"), 60)[0]
    stale = daemon.total("calls", where="health_status=stale")  # it may choose a call more than once
    wait_for(lambda: len(states(daemon, "call-stale")) == stale, 30, what=f"{stale} alerts")
    began = min(row["firing_since"] for row in alerts(daemon, where="alert=call-stale"))
    (delivered,) = [row["settled_at"] for row in daemon.rows("notifications", where="alert=call-stale", columns="settled_at,alert")]
    print(f"{notice['firing']} of {stale} in the first message; first alert {began}, delivered {delivered}")
    time.sleep(3)  # no other may come
    assert [n["firing"] for n in herald.notices("call-stale")] == [stale]
    sim.stop()


@pytest.mark.large
def test_a_redis_that_stops_under_ten_thousand_calls_is_one_alert(redis, make_sim, daemon):
    if not harness.LARGE:
        pytest.skip("on a small scale it is test_fault_04")
    sim = make_sim(redis.url, "--calls", 10000, "--beat", "2s")
    herald = Herald(daemon)
    daemon.start(told(daemon, redis, herald, rules("2s"), calls="warning_after: 10s\nstale_after: 20s"))
    wait_complete(daemon, 10000)
    sim.say("stale 300")
    wait_for(lambda: list(states(daemon, "call-stale").values()) == ["firing"] * 300, 60)
    before = events(daemon, "call-stale")
    redis.stop()
    wait_for(lambda: states(daemon, "source-blind") == {"calls": "firing"}, 30)
    time.sleep(30)  # the fault itself: longer than stale_after
    assert set(states(daemon, "call-stale").values()) == {"unknown"}
    redis.start()
    sim.say("rewrite")
    wait_for(lambda: states(daemon, "source-blind") == {"calls": "resolved"}, 60)
    wait_for(lambda: set(states(daemon, "call-stale").values()) != {"unknown"}, 30)
    assert events(daemon, "call-stale") == before or {e[2] for e in events(daemon, "call-stale")[len(before):]} <= {"resolved"}
    assert [n["kind"] for n in herald.notices("source-blind")][:2] in (["firing"], ["firing", "resolved"])
    assert {row["alert"] for row in alerts(daemon)} <= {"call-stale", "source-blind", "many-stale"}


def test_a_silence_is_seen_at_once_in_what_is_asked_next(daemon, client):
    levels = Levels(daemon, 3)
    daemon.start(levels.config(daemon, ""))
    levels.fire(0, 1)
    wait_for(lambda: [row["state"] for row in daemon.rows("alerts") if row["severity"] == "critical"] == ["firing"] * 2)
    for _ in range(3):
        shown = client("silence", "add", "severity=critical", "alert=~high-.*", "-d", "1h", "-c", "deploy").stdout
        [silence] = [row for row in daemon.rows("silences") if row["id"] in shown]
        assert silence["mutes"] == 2
        assert {row["silenced_by"] for row in daemon.rows("alerts") if row["severity"] == "critical"} == {silence["id"]}
        client("silence", "expire", silence["id"])
        assert {row["mutes"] for row in daemon.rows("silences")} == {0}
        assert {row["silenced_by"] for row in daemon.rows("alerts")} == {None}


def test_a_restart_ends_no_alert_about_an_instance(daemon):
    """What is down is not known to be well because it starts, or has no row yet."""
    herald = Herald(daemon)
    plugins = (f"  - {{ plugin: redis-calls, name: calls, url: \"unix://{daemon.folder}/none.sock\" }}\n"
               f"  - {{ plugin: graphite, name: relay, address: \"127.0.0.1:{harness.free_port()}\", interval: 1s }}\n")
    text = (f"agent: {{ hostname: testhost, state_dir: {daemon.folder}/state, plugin_dir: [{harness.BUILD}/plugins, {harness.BUILD}/tests/plugins] }}\n"
            f"plugins:\n{plugins}  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n  {herald.entry}\n"
            "notify: { group_wait: 100ms, group_interval: 1s }\n"
            "rules:\n  - { name: not-well, table: instances, where: [state=~down|stuck], for: 1s, group_by: [instance] }\n")

    def firing():
        return {row["subject"]: row["firing_since"] for row in alerts(daemon) if row["state"] == "firing"}

    daemon.start(text)
    before = wait_for(lambda: len(firing()) == 2 and firing(), 20)
    wait_for(lambda: len(herald.notices()) == 2, 20)
    for _ in range(4):
        daemon.process.kill()
        daemon.start(text)
        daemon.wait_state("down", name="calls")
        daemon.wait_state("down", name="relay")
        wait_for(lambda: len(firing()) == 2, 20)
        assert firing() == before
    assert [notice["kind"] for notice in herald.notices()] == ["firing"] * 2
