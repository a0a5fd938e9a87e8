# SPDX-License-Identifier: MIT
"""Plugin slack in callwatchd, against tests/tools/slack.py, which finds fault with every message that Slack would not take; rows 20, 21 and 35
to 37 of the fault matrix."""

import json

import pytest

from certificates import Authority
from harness import BUILD, wait_for
from notifying import Levels, assert_no_secret, notices, secret, wait_notices
from slack import HOOK, TOKEN
from slack_limits import texts


@pytest.fixture
def slack(make_tool):
    """The receiver; at the end there must be no fault in what it was sent."""
    made = make_tool("slack.py")
    yield made
    assert json.loads(made.say("faults")) == []


def requests(slack, path=""):
    return [r for r in json.loads(slack.say("requests")) if r["path"].endswith(path)]


def said(request):
    return "\n".join(texts(request["body"]))


def by_hook(daemon, slack, more=""):
    url = secret(daemon, "hook", slack.url + HOOK)
    return f"  - {{ plugin: slack, webhook_url_file: {url}, allow_local: [127.0.0.1], request_timeout: 2s{more} }}\n"


def by_token(daemon, slack, token=TOKEN, more=""):
    file = secret(daemon, "token", token)
    return (f"  - {{ plugin: slack, name: app, token_file: {file}, channel: C0CANARY, api_url: \"{slack.url}/api\", allow_local: [127.0.0.1], "
            f"request_timeout: 2s{more} }}\n")


@pytest.fixture
def start(daemon, slack):
    """start(n): the daemon with n levels and Slack by its webhook; no secret may be seen anywhere at the end."""

    def begin(n=1, notifiers=None, **options):
        levels = Levels(daemon, n)
        daemon.start(levels.config(daemon, notifiers or by_hook(daemon, slack), **options))
        daemon.wait_state("up", name="levels")
        return levels

    yield begin
    if daemon.process and daemon.process.running:
        assert_no_secret(daemon)


@pytest.mark.sanitize
def test_an_alert_is_a_message_and_so_is_its_end(daemon, slack, start):
    levels = start()
    levels.fire(0)
    wait_notices(daemon, 1, notifier="slack", state="sent", kind="firing")
    levels.end(0)
    wait_notices(daemon, 1, notifier="slack", state="sent", kind="resolved")
    first, last = (said(r) for r in requests(slack))
    assert "● CRITICAL high-0: it is 20" in first and "Turn it down." in first and "callwatch alerts --where alert=high-0" in first
    assert "✔ RESOLVED high-0" in last
    assert daemon.state("slack")[0] == "up"


def test_the_action_test_sends_a_message_and_waits_for_it(daemon, slack, start, client):
    start()
    done = client("trigger", "slack", "test", "--wait", "--yes", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "◇ TEST" in said(requests(slack)[0])
    slack.say("mode code 404 0 no_service")
    done = client("trigger", "slack", "test", "--wait", "--yes", timeout=60)
    assert done.returncode == 1 and "the webhook was removed" in done.stdout + done.stderr


def test_with_a_token_an_incident_is_one_message(daemon, slack, start):
    levels = start(notifiers=by_token(daemon, slack))
    daemon.wait_state("up", "knows the token", name="app")
    levels.fire(0)
    wait_notices(daemon, 1, notifier="app", state="sent", kind="firing")
    daemon.process.kill()  # where its message is, is known after a crash
    daemon.start(daemon.config_path.read_text())
    daemon.wait_state("up", name="levels")
    levels.end(0)
    wait_notices(daemon, 1, notifier="app", state="sent", kind="resolved")
    roots = [r for r in requests(slack, "chat.postMessage") if "thread_ts" not in r["body"]]
    assert len(roots) == 1
    [update] = requests(slack, "chat.update")
    assert "✔ RESOLVED" in said(update)
    assert requests(slack)[-1]["body"]["thread_ts"] == update["body"]["ts"]


def test_a_token_that_is_not_good_is_seen_before_it_is_needed(daemon, slack, start):
    start(notifiers=by_token(daemon, slack, token="xoxb-other"))
    daemon.wait_state("down", "the token is refused: compare token_file (invalid_auth)", name="app")
    assert_no_secret(daemon, "xoxb-other")


def test_the_certificate_is_verified_before_the_token_is_said(daemon, make_tool, folder):
    authority = Authority(folder)
    pem, key = authority.issue("slack")
    slack = make_tool("slack.py", "--tls", pem, key)
    levels = Levels(daemon, 1)
    daemon.start(levels.config(daemon, by_token(daemon, slack)))
    daemon.wait_state("down", "of no authority we trust", name="app")
    assert json.loads(slack.say("stats")).get("requests", 0) == 0
    daemon.configure(levels.config(daemon, by_token(daemon, slack, more=f", tls_ca_file: {authority.pem}")))
    daemon.hup()
    daemon.wait_state("up", "knows the token", name="app")
    assert_no_secret(daemon)


def test_the_doctor_climbs(daemon, slack, start, client):
    start(notifiers=by_token(daemon, slack))
    done = client("doctor", "app", "--format", "json", timeout=60)
    [app] = [i for i in json.loads(done.stdout)["instances"] if i["instance"] == "app"]
    found = {c["check"]: c["verdict"] for c in app["checks"]}
    assert {name: found[name] for name in ("name", "tcp", "tls", "auth", "sent")} == {
        "name": "ok", "tcp": "ok", "tls": "ok", "auth": "ok", "sent": "warning"}


# ---- 35: too many ----


def test_fault_35_retry_after_is_obeyed_and_what_waits_is_one_message(daemon, slack, start, client):
    levels = start(12)
    slack.say("next code 429 8")
    levels.fire(0)
    wait_for(lambda: requests(slack))
    row = wait_for(lambda: next((r for r in notices(daemon, notifier="slack") if r["next_try"] and r["state"] == "queued"), None))
    assert "Slack asks us to wait 8s" in row["reason"]
    assert daemon.state("slack")[0] == "degraded"
    shown = client("doctor", "slack", timeout=60).stdout  # nobody asks, neither
    assert "not asked: Slack wants nothing for another" in shown, shown
    levels.fire(*range(1, 12))
    wait_notices(daemon, 12, deadline=40, notifier="slack", state="sent")
    first, *rest = requests(slack)
    assert all(r["time"] - first["time"] >= 8 for r in rest)
    heard = "\n".join(said(r) for r in rest)
    assert all(f"high-{i}: it is 20" in heard for i in range(12))  # none is lost
    assert "12 notices have waited: 12 firing, 0 resolved" in heard and len(rest) == 1
    daemon.wait_state("up", name="slack")


def test_fault_35_a_long_silence_loses_neither_the_beginning_nor_the_end(daemon, slack, start):
    levels = start()
    slack.say("mode code 429 1")
    levels.fire(0)
    wait_for(lambda: len(requests(slack)) >= 2)
    levels.end(0)
    wait_for(lambda: notices(daemon, kind="resolved"))
    slack.say("mode ok")
    wait_notices(daemon, 2, deadline=40, notifier="slack", state="sent")
    taken = [said(r) for r in requests(slack) if r["mode"] == "ok"]
    assert "CRITICAL" in taken[0] and "RESOLVED" in taken[-1]  # in their order


# ---- 36: refused for good ----


def test_fault_36_a_layout_that_is_refused_is_told_as_text(daemon, slack, start):
    levels = start()
    slack.say("mode noblocks")
    levels.fire(0)
    wait_notices(daemon, 1, notifier="slack", state="sent")
    refused, taken = requests(slack)
    assert "attachments" in refused["body"] and "attachments" not in taken["body"]
    assert "CRITICAL high-0: it is 20" in taken["body"]["text"]
    daemon.wait_state("degraded", "told as text alone", name="slack")


@pytest.mark.parametrize("mode, requests_wanted, reason", [
    ("word invalid_payload", 2, "Slack does not take the layout"),
    ("code 403 0 action_prohibited", 1, "an administrator of the workspace does not allow it"),
    ("code 404 0 no_service", 1, "the webhook was removed"),
    ("code 410 0 channel_is_archived", 1, "the channel is archived"),
])
def test_fault_36_what_will_never_be_taken_is_a_dead_letter_and_loud(daemon, slack, start, mode, requests_wanted, reason):
    levels = start()
    slack.say(f"mode {mode}")
    levels.fire(0)
    [row] = wait_notices(daemon, 1, notifier="slack", state="dead")
    assert reason in row["reason"]
    daemon.wait_state("down", reason, name="slack")
    assert len(requests(slack)) == requests_wanted
    slack.say("mode ok")
    levels.end(0)
    wait_notices(daemon, 1, notifier="slack", state="sent", kind="resolved")
    daemon.wait_state("up", name="slack")


def test_fault_36_the_other_notifiers_are_told_that_one_is_broken(daemon, slack, start, make_tool):
    hook = make_tool("hook.py")
    more = f"  - {{ plugin: webhook, url: \"{hook.url}/v4\", allow_local: [127.0.0.1] }}\n"
    levels = Levels(daemon, 1)
    text = levels.config(daemon, by_hook(daemon, slack) + more)
    text += ("  - { name: notifier-broken, table: instances, where: [role=notifier, state=down], severity: critical, "
             "summary: \"{{ subject }} tells nobody: {{ reason }}\" }\n")
    slack.say("mode code 404 0 no_service")
    daemon.start(text)
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    wait_notices(daemon, 1, notifier="webhook", state="sent", alert="notifier-broken")
    assert not notices(daemon, notifier="slack", alert="notifier-broken")  # not to itself
    told = [r["body"] for r in json.loads(hook.say("requests"))]
    assert any("slack tells nobody: the webhook was removed" in json.dumps(body) for body in told)
    assert json.loads(hook.say("faults")) == []
    assert_no_secret(daemon)


# ---- 37: cut before the answer ----


def test_fault_37_what_may_have_arrived_is_said_again_and_marked(daemon, slack, start):
    levels = start()
    slack.say("next cut")
    levels.fire(0)
    [row] = wait_notices(daemon, 1, notifier="slack", state="sent")
    first, second = requests(slack)
    assert row["attempts"] == 2
    assert "possible duplicate" not in said(first)
    assert f"possible duplicate of {row['id']}" in said(second) or "possible duplicate of " in said(second)
    ids = [next(t for t in texts(r["body"]) if " · id " in t).split(" · id ")[1].split(" ")[0] for r in (first, second)]
    assert ids[0] == ids[1]


def test_fault_37_nobody_answers_in_time(daemon, slack, start):
    levels = start()
    slack.say("next silent")
    levels.fire(0)
    wait_notices(daemon, 1, deadline=30, notifier="slack", state="sent")
    assert ["possible duplicate" in said(r) for r in requests(slack)] == [False, True]


# ---- 20, 21: what strangers write ----


def test_fault_20_and_21_hostile_names_ping_nobody_and_fit(daemon, slack, redis, make_tool):
    evil = "<!channel> <@U1> <http://evil|x> & \u202e \U0001f525 @here"
    for i in range(30):
        redis.client.hset(f"call_ctx:CA{i:032x}", mapping={
            "call_sid": f"CA{i:032x}", "business_id": (evil + "x" * 200) if i else evil, "from_phone_number": "+14155550132",
            "to_phone_number": "+14155550199", "start_time": "2026-01-01T00:00:00Z"})
    text = (f"agent: {{ hostname: testhost, interval: 1s, state_dir: {daemon.folder}/state, plugin_dir: [{BUILD}/plugins] }}\n"
            f"plugins:\n  - {{ plugin: redis-calls, name: calls, url: \"{redis.url}\" }}\n"
            f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n{by_hook(daemon, slack)}"
            "notify: { group_wait: 500ms }\nrules:\n"
            "  - { name: any-call, table: calls, where: [call_sid!=null], summary: \"{{ business_id }} {{ from_phone }}\" }\n")
    daemon.start(text)
    wait_notices(daemon, 1, deadline=30, notifier="slack", state="sent", alert="any-call")
    heard = "\n".join(said(r) for r in requests(slack))
    assert "<!channel>" in heard and "and 20 more" in heard and "\\u202e" in heard  # as text, see `faults`
    assert "+1••••••0132" in heard and "4155550132" not in heard
    assert_no_secret(daemon)

