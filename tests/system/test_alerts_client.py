# SPDX-License-Identifier: MIT
"""`callwatch alerts`, `why`, `ack`, `silence`, `rules test`: what they make of an answer, here of a scripted server, and over a real daemon."""

import datetime
import json
import os
import pwd
import re
import subprocess
import time
import urllib.parse

import pytest

import harness
from harness import config, wait_for
from scripted import Server, answer

US = pwd.getpwuid(os.getuid()).pw_name
SID = "CA0123456789abcdef0123456789abcdef"


def ago(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def columns(*names):
    return [{"name": name, "type": "real" if name.endswith("_seconds") else "time" if name.endswith(("_since", "_at")) else "text", "unit": "", "help": "",
             "watched": False, "phone": False, "key": False, "wide": False} for name in names]


TABLES = {
    "alerts": ("id", "instance", "alert", "subject", "severity", "state", "pending_since", "firing_since", "value", "summary", "common", "notified",
               "silenced_by", "inhibited_by", "acked_by", "ack_note", "description", "reason", "resolved_at", "held_seconds", "for_seconds"),
    "rules": ("name", "expression", "for_seconds", "severity", "state", "notify", "description", "origin"),
    "notifications": ("id", "notifier", "alert", "incident", "kind", "state", "attempts", "time", "next_try", "settled_at", "delay_seconds", "reason", "on_disk"),
    "silences": ("id", "matchers", "starts_at", "ends_at", "every", "created_by", "comment", "mutes"),
    "events": ("id", "time", "kind", "subject", "from", "to", "by", "text"),
    "instances": ("instance", "role", "state", "since", "reason"),
}


class Scripted(Server):
    """Tables whose rows a test fills in; `=` and `~` of `where` are understood."""

    def __init__(self, folder):
        super().__init__(folder)
        self.rows = {name: [] for name in TABLES}
        self.on("/api/v1/tables ", answer({"tables": [{"name": name, "help": "", "sort": "", "columns": columns(*names)} for name, names in TABLES.items()]}))
        for name in TABLES:
            self.on(f"/{name}?", lambda connection, name=name: connection.sendall(self.page(name)))

    def page(self, name):
        query = urllib.parse.parse_qs(urllib.parse.urlsplit(self.seen[-1].split()[1]).query)
        rows = self.rows[name]
        for where in query.get("where", []):
            column, sign = (where.split("~")[0], "~") if "~" in where else (where.split("=")[0], "=")
            value = where[len(column) + 1:]
            if not column.endswith(">"):
                rows = [row for row in rows if (value in str(row.get(column)) if sign == "~" else str(row.get(column)) == value)]
        limit = int(query.get("limit", [100])[0])
        return answer({"table": name, "columns": list(TABLES[name]), "rows": rows[:limit] if limit else rows, "total": len(rows), "complete": True})

    def alert(self, alert="call-stale", subject=SID, state="firing", **more):
        row = {"id": f"{alert}/{subject}", "instance": "calls", "alert": alert, "subject": subject, "state": state, "severity": "warning",
               "pending_since": ago(200), "firing_since": ago(200) if state == "firing" else None, "summary": f"{alert} of {subject[:4]}", "for_seconds": 0, **more}
        self.rows["alerts"].append(row)
        return row


@pytest.fixture
def server(folder):
    made = Scripted(folder)
    made.rows["instances"] = [{"instance": "calls", "role": "source", "state": "up"}]
    made.rows["rules"] = [{"name": "call-stale", "expression": "calls where health_status=stale", "for_seconds": 60, "severity": "warning", "state": "idle",
                           "notify": "slack, email", "description": "It is lost.\nLook at its worker.", "origin": "/etc/20-rules.yaml:41"}]
    yield made
    made.close()


def callwatch(server, *arguments, code=0):
    done = subprocess.run([harness.BIN / "callwatch", "--utc", "--socket", str(server.path), *arguments], capture_output=True, text=True,
                          timeout=30 * harness.SLOWER)
    assert done.returncode == code, done
    assert not harness.SANITIZER_REPORT.search(done.stderr), done.stderr
    return done.stdout + done.stderr


def has(text, *parts):
    at = 0
    for part in parts:
        assert part in text[at:], f"{part!r} is missing, or too early, in:\n{text}"
        at = text.index(part, at) + len(part)


# -- alerts ------------------------------------------------------------------------------------------------------------


def test_alerts_come_in_the_order_in_which_they_matter(server):
    server.alert("capacity", "ratio", "pending", held_seconds=40.2, for_seconds=60)
    server.alert("late", "x", "resolved", reason="recovered", resolved_at=ago(100))
    server.alert("dlq-growing", "depth", "unknown", firing_since=ago(900), notified="slack 01:10:03")
    server.alert("stale-many", "ratio", severity="critical", notified="email queued (450), next try 02:15")
    server.alert(acked_by="ada", silenced_by="s1", inhibited_by="stale-many", common="worker=ai-7: 37 of 37")
    shown = callwatch(server, "alerts")
    has(shown, "✖ critical stale-many  for 3m ", "stale-many of rati (ratio)", "told: email queued (450), next try 02:15", "▲ warning  call-stale  for 3m ",
        f"call-stale of CA01 ({SID})", "in common: worker=ai-7: 37 of 37", "acknowledged by ada; silenced by s1; part of stale-many", "? unknown  dlq-growing",
        "told: slack 01:10:03", "… pending  capacity", "40s of 1m 00s, fires in 20s",
        "2 firing · 1 unknown (its source is blind) · 1 pending · 1 ended within the last hour (--all shows them)")
    assert "recovered" not in shown
    has(callwatch(server, "alerts", "--all"), "● resolved", "late", "recovered", "1 ended\n")
    has(callwatch(server, "alerts", "--where", "alert=capacity"), "pending", "Nothing fires of these · 1 pending.")
    has(callwatch(server, "alerts", "--format", "json"), '"dlq-growing"')


def test_alerts_of_one_rule_stand_together(server):
    server.alert("other", "x", severity="critical")
    for i in range(9):
        server.alert(subject=f"CA{i}", summary=f"CA{i} is silent", firing_since=ago(100 * (9 - i) + 3), common="worker=ai-7: 9 of 9", notified="slack 02:10",
                     acked_by="ada" if i == 2 else None)
    server.alert("other", "y", severity="warning")
    shown = callwatch(server, "alerts")
    has(shown, "✖ critical other  2 subjects, the first for 3m ", "other of x", "other of y", "▲ warning  call-stale  9 subjects, the first for 15m 0", "in common: worker=ai-7: 9 of 9",
        "15m 0", "CA0 is silent · told: slack 02:10", "CA2 is silent · acknowledged by ada; told: slack 02:10", "CA4 is silent",
        "and 4 more: `callwatch alerts --where alert=call-stale`", "11 firing")
    assert "CA5" not in shown and shown.count("nobody was told yet") == 1, "what all have in common is said once"
    assert "CA8 is silent" in callwatch(server, "alerts", "--where", "alert=call-stale")
    has(callwatch(server, "alerts", "--limit", "3"), "9 subjects", "and 7 more: --limit shows more", "3 of 11 firing")


def test_nothing_fires_is_not_said_of_what_cannot_be_seen(server):
    assert callwatch(server, "alerts") == "Nothing fires.\n"
    server.rows["instances"] = [{"instance": "calls", "role": "source", "state": "down", "since": ago(60), "reason": "refused"},
                                {"instance": "slack", "role": "notifier", "state": "down", "since": ago(60)},
                                {"instance": "dlq", "role": "source", "state": "degraded", "since": ago(60)}]
    shown = callwatch(server, "alerts")
    has(shown, "Nothing fires.", "✖ BLIND: calls is down since", "(refused)")
    assert shown.count("BLIND") == 1


def test_an_agent_without_alerts_is_told_so(server):
    server.on("/api/v1/tables ", answer({"tables": []}))
    for arguments in (["alerts"], ["why", "x"]):
        assert "keeps no alerts" in callwatch(server, *arguments, code=1)


# -- why ---------------------------------------------------------------------------------------------------------------


def test_why_tells_the_whole_life(server):
    server.alert(acked_by="ada", ack_note="hung up", silenced_by="s1", inhibited_by="stale-many", common="worker=ai-7: 37 of 37", value=3.5)
    server.rows["silences"] = [{"id": "s1", "ends_at": ago(-3600), "created_by": "bob", "comment": "deploy"}]
    server.rows["notifications"] = [
        {"notifier": "web", "alert": "call-stale", "kind": "firing", "state": "dead", "attempts": 2, "time": ago(90), "settled_at": ago(50), "reason": "404 gone",
         "on_disk": False},
        {"notifier": "email", "alert": "call-stale", "kind": "firing", "state": "queued", "attempts": 3, "time": ago(95), "next_try": ago(-100), "reason": "450 grey"},
        {"notifier": "slack", "alert": "call-stale", "kind": "firing", "state": "sent", "attempts": 1, "time": ago(100), "settled_at": ago(99), "delay_seconds": 0.42}]
    server.rows["events"] = [
        {"id": "2", "time": ago(200), "kind": "alert", "subject": f"calls/{SID}", "to": "firing", "by": "call-stale", "text": "silent"},
        {"id": "1", "time": ago(900), "kind": "alert", "subject": f"calls/{SID}", "to": "resolved", "by": "call-stale", "text": "recovered"},
        {"id": "0", "time": ago(901), "kind": "alert", "subject": f"calls/X{SID}", "to": "resolved", "by": "call-stale", "text": "another"}]
    for arguments in (["why", "call-stale"], ["why", f"call-stale/{SID}"], ["why", "call-stale", SID]):
        shown = callwatch(server, *arguments)
        has(shown, f"▲ call-stale {SID} of calls: FIRING for ", "s (warning)", "means     It is lost.", "Look at its worker.",
            "rule      calls where health_status=stale, for 1m 00s; warning", "/etc/20-rules.yaml:41", "life", "value     3.5", "in common worker=ai-7: 37 of 37",
            "acked     by ada: hung up", "silenced  until", "by bob: deploy (silence s1)", "part of   stale-many", "tells     slack, email",
            "✔ slack: firing, sent", "after 420ms", "▲ email: firing, 3 attempts, the last: 450 grey; next try", "(in 1m",
            "✖ web: firing, NEVER ARRIVED, given up", "after 2 attempts, the last: 404 gone (not on disk)", "resolved: recovered", "firing: silent")
        assert "another" not in shown


@pytest.mark.parametrize("more, words", [
    ({}, "nobody yet: alerts that begin together are told together"),
    ({"silenced_by": "s1"}, "nobody: it is silenced"),
    ({"inhibited_by": "x"}, "nobody: it is part of another alert"),
    ({"state": "pending", "held_seconds": 40, "for_seconds": 60}, "nobody: it does not fire yet"),
    ({"state": "resolved", "resolved_at": ago(10), "reason": "gone"}, "nobody: it ended before it was told"),
    ({"notified": "slack 01:10:03"}, "told      slack 01:10:03"),
])
def test_why_says_why_nobody_was_told(server, more, words):
    server.alert(**more)
    assert words in callwatch(server, "why", "call-stale")
    server.rows["rules"][0]["notify"] = None
    shown = callwatch(server, "why", "call-stale")
    assert "notified" in more or "nobody: no notifier hears this rule" in shown


def test_why_of_what_pends_and_of_what_is_blind(server):
    alert = server.alert(state="pending", held_seconds=40.4, for_seconds=60)
    has(callwatch(server, "why", "call-stale"), "… call-stale", "pending: it has held for 40s of 1m 00s", "began to hold")
    alert["state"] = "unknown"
    server.rows["instances"] = [{"instance": "calls", "role": "source", "state": "stuck", "since": ago(60), "reason": "in read()"}]
    has(callwatch(server, "why", "call-stale"), "? call-stale", "UNKNOWN: its source is blind; before that it had held for 40s of 1m 00s",
        "blind     calls is stuck since", "(in read()): until it sees again nothing about this alert moves")


def test_why_of_many_shows_what_they_share(server):
    for i in range(15):
        server.alert(subject=f"CA{i:02}", common="worker=ai-7: 15 of 15", silenced_by="s1" if i == 0 else None)
    shown = callwatch(server, "why", "call-stale")
    has(shown, "call-stale: 15 alerts; 15 firing, 0 unknown, 0 pending, 0 ended", "CA00", "silenced by s1", "CA09", "and 5 more: `callwatch alerts --where alert=call-stale`",
        "in common worker=ai-7: 15 of 15", "nobody yet:", "`callwatch why call-stale SUBJECT` tells the life of one.")
    assert "CA10" not in shown


def test_why_of_what_does_not_fire(server):
    has(callwatch(server, "why", "call-stale"), "● call-stale: it does not fire, and nothing is on the way to it", "means     It is lost.",
        "it has not fired in what is remembered")
    server.rows["events"] = [{"id": "1", "time": ago(9), "kind": "alert", "subject": f"calls/{SID}", "to": "resolved", "by": "call-stale", "text": "recovered"}]
    has(callwatch(server, "why", "call-stale", SID), f"● call-stale {SID}: it does not fire", "log ", "resolved: recovered")
    server.rows["rules"][0]["state"] = "sleeping"
    assert "it sleeps: the plugin that it is for is not configured" in callwatch(server, "why", "call-stale")
    assert "there is no rule `call-stael`; did you mean `call-stale`?" in callwatch(server, "why", "call-stael", code=1)


# -- status --------------------------------------------------------------------------------------------------------------


def status_of(server, firing, silenced=0, worst=(), state="healthy"):
    server.on("/api/v1/status", answer({"version": "1", "hostname": "h", "pid": 1, "uptime_seconds": 9, "state": state, "reasons": [], "instances": [],
                                        "alerts": firing and {"worst": list(worst), "firing": firing, "silenced": silenced},
                                        "tables": [{"name": "calls", "rows": 7, "complete": True, "age_seconds": 1}], "metrics": []}))


def test_status_shows_what_fires_and_check_counts_it(server):
    worst = [{"alert": "stale-many", "severity": "critical", "summary": "6 % of calls | stale", "firing_since": ago(200)},
             {"alert": "call-stale", "severity": "warning", "summary": "silent", "firing_since": ago(90), "acked_by": "ada"}]
    status_of(server, {"critical": 1, "warning": 3, "info": 0}, 2, worst)
    has(callwatch(server, "status"), "platform", "alerts  ✖ 1 critical · ▲ 3 warning · 2 silenced: `callwatch alerts`", "✖ stale-many for 3m ",
        "6 % of calls | stale", "▲ call-stale for 1m ", "silent; acknowledged by ada", "calls")
    has(callwatch(server, "status", "--check", code=2), "CALLWATCH CRITICAL - ", "; stale-many: 6 % of calls / stale; call-stale: silent; and 2 more alerts | ",
        " alerts_critical=1;;;0 alerts_warning=3;;;0 alerts_info=0;;;0")
    status_of(server, {"critical": 0, "warning": 1, "info": 0}, 0, worst[1:])
    assert "CALLWATCH WARNING" in callwatch(server, "status", "--check", code=1)
    for firing, words in (({"critical": 0, "warning": 0, "info": 0}, "alerts  nothing fires · 4 silenced\n"), ({"critical": 0, "warning": 0, "info": 1}, "alerts  ● 1 info")):
        status_of(server, firing, 4)
        assert words in callwatch(server, "status")
        assert "CALLWATCH OK" in callwatch(server, "status", "--check")
    status_of(server, None)
    assert "alerts" not in callwatch(server, "status") + callwatch(server, "status", "--check"), "what is not known is not told as nothing"


# -- what people do ----------------------------------------------------------------------------------------------------


def done(**more):
    return answer({"id": "s1", "text": "it is done", "journaled": True, "count": 12, "alerts": [f"call-stale/CA{i}" for i in range(12)], **more})


def test_silences_say_what_they_mute(server):
    server.on("POST /api/v1/silences", done()).on("DELETE /api/v1/silences/s%2F1", done(count=0, alerts=[]))
    shown = callwatch(server, "silence", "add", "call-stale", "-d", "2h", "-c", "deploy")
    has(shown, "silence s1 for 2h 00m: it is done", "call-stale/CA9", "and 2 more", "`callwatch silence expire s1` ends it.")
    assert "not on disk" not in shown
    has(callwatch(server, "silence", "add", "--all", "-d", "2h", "--dry-run"), "Nothing was done.")
    assert callwatch(server, "silence", "expire", "s/1") == "it is done\n"
    server.on("POST /api/v1/silences", done(count=0, alerts=[], journaled=False))
    has(callwatch(server, "silence", "add", "a=b", "-d", "2h", "-c", "deploy"), "is that what you want?", "it is not on disk")


def test_silences_are_listed(server):
    server.on("/api/v1/silences?", lambda connection: connection.sendall(server.page("silences")))
    assert callwatch(server, "silence", "list") == "Nothing is silenced.\n"
    server.rows["silences"] = [
        {"id": "s1", "matchers": "alertname=a\nworker=ai-7", "ends_at": ago(-3600), "created_by": "bob", "comment": "deploy", "mutes": 12},
        {"id": "s2", "matchers": "", "ends_at": ago(-9e6), "every": "Sun 02:00-04:00", "created_by": "ada", "comment": "backup", "mutes": 0},
        {"id": "s3", "matchers": "a=b", "ends_at": ago(60), "created_by": "carol", "comment": "old", "mutes": 0}]
    shown = callwatch(server, "silence", "list")
    has(shown, "s1", "alertname=a worker=ai-7", "12", "until", "bob", "deploy", "s2", "everything", "Sun 02:00-04:00", "1 ended lately (--all shows it)")
    assert "carol" not in shown
    has(callwatch(server, "silence", "list", "--all"), "s3", "ended", "carol")


def test_ack_says_what_was_acknowledged(server):
    server.on("POST /api/v1/acks", done())
    has(callwatch(server, "ack", "call-stale", "-m", "looking"), "it is done", "call-stale/CA0", "and 2 more")


def test_rule_is_tried_until_everybody_was(server):
    server.on("POST /api/v1/rules/call-stale/test", done(id="i1"))
    sent = {"incident": "i1", "notifier": "slack", "kind": "test", "state": "sent", "attempts": 1, "settled_at": ago(0), "delay_seconds": 0.1}
    server.rows["notifications"] = [sent]
    has(callwatch(server, "rules", "test", "call-stale", "--send"), "it is done", "✔ slack: test, sent")
    server.rows["notifications"] = [sent, {**sent, "notifier": "email", "state": "dead", "reason": "550 no such user"}]
    has(callwatch(server, "rules", "test", "call-stale", "--send", code=1), "✔ slack", "✖ email: test, NEVER ARRIVED", "550 no such user")


def test_what_is_asked_wrongly_is_said_before_anybody_is_asked(folder):
    class Nobody:
        path = folder / "nobody"

    for words, sentence in [
        (["silence", "add", "-d", "2h", "-c", "x"], "say what it mutes"), (["silence", "add", "a=b", "--all", "-d", "2h", "-c", "x"], "--all mutes everything"),
        (["silence", "add", "a=b", "-c", "x"], "say how long: -d 2h"), (["silence", "add", "a=b", "-d", "2", "-c", "x"], "not \"2\""),
        (["silence", "add", "a=b", "-d", "0", "-c", "x"], "not \"0\""), (["silence", "add", "a=b", "-d", "2h"], "say why"),
        (["silence", "add", "a=b", "-d", "2h", "-c", "x", "--timezone", "UTC"], "--timezone is that of --every"),
        (["silence", "add", "a=b", "-d", "2h", "-c", "x", "--from", "tonight"], "--from takes in how long"), (["silence", "expire"], "say which"),
        (["silence", "list", "-d", "2h"], "takes no --duration with `list`"), (["silence", "mute"], "add, list or expire; not \"mute\""),
        (["silence"], "usage: callwatch silence"), (["ack", "x"], "-m NOTE"), (["ack", "-m", "x"], "usage: callwatch ack"), (["why"], "usage: callwatch why"),
        (["rules", "test", "--send"], "say which rule's way"), (["rules", "list"], "not \"list\""), (["alerts", "-m", "x"], "takes no --note"),
    ]:
        assert sentence in callwatch(Nobody, *words, code=2), words


# -- answers that are wrong --------------------------------------------------------------------------------------------

EVIL = "\x1b[2J\x1b]8;;http://evil\x1b\\x\r\n\t\x9b2J\u202egnp.exe\u2066"
CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


@pytest.mark.sanitize
def test_hostile_and_garbled_rows_are_shown_as_what_they_are(server):
    server.on("/api/v1/silences?", lambda connection: connection.sendall(server.page("silences")))
    for name, names in TABLES.items():
        server.rows[name] = [{column: EVIL for column in names}, {column: 7 for column in names}, {column: None for column in names},
                             {column: [{}] for column in names}, {}, {column: 1e308 for column in names}, {column: "" for column in names}]
    for state in ("firing", "unknown", "pending", "resolved"):
        for value in (EVIL, 7, None, [{}], "x" * 5000):
            server.rows["alerts"].append({**{column: value for column in TABLES["alerts"]}, "alert": "x", "state": state})
    server.rows["events"].append({**{column: EVIL for column in TABLES["events"]}, "by": "x", "kind": "alert"})
    server.rows["notifications"] += [{**{column: EVIL for column in TABLES["notifications"]}, "alert": "x", "state": state, "attempts": 2}
                                     for state in ("sent", "dead", "queued", "sending", "?")]
    status_of(server, {"critical": -1, "warning": "x", "info": 1e300}, -7, [{"alert": EVIL, "summary": [EVIL]}, 7, None])
    for words in (["alerts"], ["alerts", "--all"], ["why", "x"], ["why", "x", EVIL.strip("\x00")], ["silence", "list", "--all"], ["rules"], ["status"]):
        shown = callwatch(server, *words)
        assert shown and not CONTROL.search(shown), (words, shown)


def complete(server, *words):
    return subprocess.run([harness.BIN / "callwatch", "__complete", "--socket", str(server.path), *words], capture_output=True, text=True, check=True,
                          timeout=30 * harness.SLOWER).stdout.split()


def test_names_and_subjects_are_completed(server):
    server.rows["rules"].append({"name": "capacity"})
    server.rows["silences"] = [{"id": "s1"}, {"id": "s2"}]
    server.alert()
    server.alert("capacity", "ratio")
    for command in ("why", "ack"):
        assert complete(server, command, "") == ["call-stale", "capacity"]
        assert complete(server, command, "call-stale", "") == [SID]
    assert complete(server, "silence", "") == ["add", "list", "expire"]
    assert complete(server, "silence", "expire", "") == ["s1", "s2"]
    assert complete(server, "silence", "add", "ca") == ["call-stale", "capacity"]
    assert complete(server, "rules", "test", "cap") == ["capacity"]
    assert "--every" in complete(server, "silence", "add", "--") and "--config" not in complete(server, "silence", "add", "--")
    assert complete(server, "silence", "add", "-c", "") == []
    assert "severity=" in complete(server, "alerts", "--where", "se")


# -- a real daemon, a real Redis ---------------------------------------------------------------------------------------

RULES = """
notify: { group_wait: 100ms, group_interval: 1s, repeat_interval: 1h }
rules:
  - name: call-stale
    table: calls
    where: [health_status=stale]
    for: HOLD
    noun: calls silent
    summary: "{{ call_sid }} of {{ business_id }} is silent"
    description: "Its worker is lost."
  - { name: never, table: calls, where: [business_id=nobody], severity: critical, summary: "{{ call_sid }}" }
  - { name: sleeper, for_plugin: postgres-lookup, metric: nothing, above: 1 }
"""


@pytest.fixture
def world(redis, daemon, folder):
    """A daemon with a notifier whose answers are scripted, and calls that a test lets go silent; started by start()."""

    class World:
        script = folder / "script"

        def start(self, hold="0s", notifier=True, web="", options=""):
            herald = f"- plugin: herald\n  path: {folder}/told\n  script: {self.script}\n" if notifier else ""
            text = config(daemon, redis.url, calls="warning_after: 1s\nstale_after: 2s", more=herald)
            text = text.replace(f"plugin_dir: [{harness.BUILD}/plugins]", f"plugin_dir: [{harness.BUILD}/plugins, {harness.BUILD}/tests/plugins]")
            text = text.replace(f'listen: ["unix:{daemon.socket}"]', f'listen: ["unix:{daemon.socket}"{web}]{options}')
            redis.client.config_set("notify-keyspace-events", "KEA")  # so that a new call is seen at once
            daemon.start(text + RULES.replace("HOLD", hold))
            return self

        def silent(self, *sids, business="b1"):
            for sid in sids:
                redis.client.hset(f"call_ctx:{sid}", mapping={"business_id": business, "from_phone_number": "+14155550132"})
                redis.client.set(f"call_heartbeat:{sid}", f"{time.time() - 60:.3f}")

        def ends(self, *sids):
            for sid in sids:
                redis.client.delete(f"call_ctx:{sid}", f"call_heartbeat:{sid}")

        def ask(self, *words, code=0):
            done = harness.run_client(daemon, "--utc", *words)
            assert done.returncode == code, done
            return done.stdout + done.stderr

        def until(self, words, *parts, code=None):
            """Asks until the answer has these parts, one after the other."""

            def look():
                done = harness.run_client(daemon, "--utc", *words)
                self.last = done.stdout + done.stderr
                at = 0
                for part in parts:
                    if part not in self.last[at:]:
                        return None
                    at = self.last.index(part, at) + len(part)
                return self.last if code in (None, done.returncode) else None

            try:
                return wait_for(look, 20, what=f"{words}: {parts}")
            except AssertionError as failure:
                raise AssertionError(f"{failure}\n{self.last}") from None

    return World()


@pytest.mark.sanitize
def test_real_life_of_an_alert_from_its_rule_to_its_end(world):
    world.start(hold="3s")
    assert "Nothing fires" in world.until(["alerts"], "Nothing fires.\n")
    has(world.ask("why", "never"), "● never: it does not fire", "rule      calls where business_id=nobody; critical", "tells     herald")
    has(world.ask("why", "sleeper"), "it sleeps: the plugin that it is for is not configured")
    assert "did you mean `never`?" in world.ask("why", "nevr", code=1)
    world.silent("CA1")
    world.until(["why", "call-stale"], "… call-stale CA1 of calls: pending: it has held for", " of 3s (warning)", "nobody: it does not fire yet")
    world.until(["alerts"], "▲ warning  call-stale  for ", "CA1 of b1 is silent", "told: herald")
    world.until(["why", "call-stale", "CA1"], "▲ call-stale CA1 of calls: FIRING for", "CA1 of b1 is silent", "means     Its worker is lost.",
                "rule      calls where health_status=stale, for 3s; warning", ".yaml:", "began to hold", "fires", "tells     herald", "✔ herald: firing, sent",
                "log ", "firing")
    has(world.ask("status"), "alerts", "▲ 1 warning", "CA1 of b1 is silent")
    assert "call-stale: CA1 of b1 is silent" in world.ask("status", "--check", code=1)
    shown = world.ask("rules")
    has(shown, "call-stale", "firing", "never", "idle", "sleeper", "sleeping")
    world.ends("CA1")
    world.until(["alerts"], "Nothing fires", "1 ended within the last hour")
    world.until(["why", "call-stale"], "● call-stale CA1 of calls: ended", "gone", "✔ herald: firing, sent", "✔ herald: resolved, sent")


@pytest.mark.sanitize
def test_real_ack_and_silences_with_their_windows(world, daemon):
    world.start()
    world.silent("CA1", "CA2")
    world.silent("XX1", business="other")
    world.until(["alerts"], "3 subjects", "3 firing")
    assert "no alert `call-stale` of CA9 fires" in world.ask("ack", "call-stale", "CA9", "-m", "x", code=1)
    has(world.ask("ack", "call-stale/CA1", "-m", "it is Ada's"), "1 alert acknowledged", "call-stale/CA1")
    world.until(["why", "call-stale", "CA1"], f"acked     by {US}, process ", ": it is Ada's")
    assert f"acknowledged by {US}" in world.ask("alerts")

    said = ["silence", "add", "call-stale", "business_id=b1", "-d", "1h"]
    has(world.ask(*said, "--dry-run"), "it would mute 2 alerts that fire now", "call-stale/CA", "Nothing was done.")
    assert world.ask("silence", "list") == "Nothing is silenced.\n"
    made = world.ask(*said, "-c", "deploy")
    has(made, "for 1h 00m: it mutes 2 alerts that fire now", "`callwatch silence expire ")
    silence = re.search(r"silence expire (\S+)`", made)[1]
    world.until(["alerts"], f"silenced by {silence}")
    world.until(["silence", "list"], silence, "alertname=call-stale business_id=b1", " 2  until ", "deploy")
    world.until(["why", "call-stale", "CA2"], "silenced  until", "deploy (silence ")
    world.until(["status"], "▲ 1 warning · 2 silenced")
    has(world.ask("silence", "expire", silence), "it has ended")
    assert "has not ended" in world.ask("silence", "expire", silence, code=1)
    world.until(["status"], "▲ 3 warning:")
    has(world.ask("silence", "list"), "Nothing is silenced.", "1 ended lately")

    # a window of each week: today at this hour, or three days later
    now = datetime.datetime.now(datetime.timezone.utc)
    day = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    weekly = ["silence", "add", "--all", "-d", "300d", "-c", "backup", "--timezone", "Etc/UTC", "--every"]
    has(world.ask(*weekly, f"{day[(now.weekday() + 3) % 7]} 02:00-03:00"), "it mutes 0 alerts", "is that what you want?")
    has(world.ask(*weekly, "Mon-Sun 00:00-24:00"), "it mutes 3 alerts that fire now")
    world.until(["status"], "nothing fires · 3 silenced")
    world.until(["silence", "list"], "everything", " 3  until", "Mon-Sun 00:00-24:00", "everything", " 0  until", "02:00-03:00", "backup")
    for words, sentence in [(["--every", "Sum 02:00-03:00"], "Sum"), (["--every", "Sun 02:00"], "Sun 02:00"), (["--every", "Sun 02:00-03:00", "--timezone", "Mars/Base"], "Mars/Base"),
                            (["nonsense<>"], "nonsense<>"), (["severity>x"], "severity>x"), (["--from", "2020-01-01", "-d", "1m"], "silence")]:
        code = 0 if "--from" in words else 1
        assert sentence in world.ask("silence", "add", "a=b", "-d", "1h", "-c", "x", *words, code=code), words


def test_real_notification_that_fails_and_is_tried_again(world):
    world.script.write_text("again\nagain\nok\n")
    world.start()
    world.silent("CA1")
    world.until(["why", "call-stale", "CA1"], "▲ herald: firing, 1 attempt", "next try")
    world.until(["why", "call-stale", "CA1"], "✔ herald: firing, sent", "at the 3. attempt")
    world.script.write_text("refused\n")
    world.ends("CA1")
    world.until(["why", "call-stale", "CA1"], "✖ herald: resolved, NEVER ARRIVED, given up")


def test_real_rule_that_is_tried(world):
    world.start()
    world.until(["alerts"], "Nothing fires.\n")
    has(world.ask("rules", "test", "never", "--send"), "a test notice is on its way", "✔ herald: test, sent")
    world.script.write_text("refused\n")
    has(world.ask("rules", "test", "never", "--send", code=1), "✖ herald: test, NEVER ARRIVED")
    assert "there is no rule `nobody`" in world.ask("rules", "test", "nobody", "--send", code=1)


def test_real_alert_that_nobody_is_told(world):
    world.start(notifier=False)
    world.silent("CA1")
    world.until(["why", "call-stale"], "FIRING", "nobody: no notifier hears this rule")


def test_real_viewer_looks_and_does_not_touch(world, daemon, folder):
    port = harness.free_port()
    world.start(web=f', "127.0.0.1:{port}"')
    world.silent("CA1")
    world.until(["alerts"], "call-stale")
    viewer = ["--url", f"http://127.0.0.1:{port}"]

    def ask(*words):
        return subprocess.run([harness.BIN / "callwatch", *viewer, *words], capture_output=True, text=True, timeout=30 * harness.SLOWER)

    for words in (["alerts"], ["why", "call-stale"], ["silence", "list"], ["rules"], ["status"]):
        assert ask(*words).returncode == 0, words
    for words in (["ack", "call-stale", "-m", "x"], ["silence", "add", "--all", "-d", "1h", "-c", "x"], ["silence", "expire", "x"],
                  ["rules", "test", "never", "--send"]):
        done = ask(*words)
        assert done.returncode == 1 and "this needs an operator" in done.stderr, done
    assert world.ask("silence", "list") == "Nothing is silenced.\n"
