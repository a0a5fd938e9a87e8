# SPDX-License-Identifier: MIT
"""Plugin webhook in callwatchd, against tests/tools/hook.py, a receiver that was made for Alertmanager; row 39 of the fault matrix."""

import json

import pytest

from harness import run_once, wait_for
from hook import SECRET
from notifying import Levels, assert_no_secret, secret, wait_notices


@pytest.fixture
def hook(make_tool):
    made = make_tool("hook.py")
    yield made
    assert json.loads(made.say("faults")) == []


def requests(hook):
    return json.loads(hook.say("requests"))


def webhook(daemon, url, more=""):
    return (f"  - plugin: webhook\n    url_file: {secret(daemon, 'url', url)}\n    request_timeout: 2s\n"
            f"    hmac_secret_file: {secret(daemon, 'hmac', SECRET)}\n"
            f"    headers: [{{ name: X-Api-Key, value_file: {secret(daemon, 'header', 'header-canary-4711')} }}]\n{more}")


LOCAL = "    allow_local: [127.0.0.1]\n"


@pytest.mark.sanitize
def test_a_receiver_made_for_alertmanager_works_unchanged(daemon, hook):
    levels = Levels(daemon, 1)
    daemon.start(levels.config(daemon, webhook(daemon, hook.url + "/v4?token=hookSecret4711", LOCAL)))
    hook.say("only /v4?token=hookSecret4711")
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    [row] = wait_notices(daemon, 1, notifier="webhook", state="sent", kind="firing")
    levels.end(0)
    wait_notices(daemon, 1, notifier="webhook", state="sent", kind="resolved")
    first, last = requests(hook)
    assert first["headers"]["x-api-key"] == "header-canary-4711" and first["headers"]["webhook-signature"].startswith("v1,")
    assert first["headers"]["idempotency-key"] == row["id"]
    assert first["body"]["status"] == "firing" and last["body"]["status"] == "resolved"
    [alert] = first["body"]["alerts"]
    assert alert["labels"]["alertname"] == "high-0" and alert["annotations"] == {"summary": "it is 20", "description": "Turn it down."}
    [ended] = last["body"]["alerts"]
    assert ended["fingerprint"] == alert["fingerprint"] and ended["annotations"]["reason"] == "recovered"
    assert first["body"]["groupKey"] == last["body"]["groupKey"]
    assert_no_secret(daemon)


def test_a_body_of_ones_own_and_the_action_test(daemon, hook, client):
    levels = Levels(daemon, 1)
    body = "    body: '{\"text\": \"{{ severity | upper }} {{ title }}\", \"count\": {{ firing }}, \"key\": \"{{ incident }}\"}'\n"
    daemon.start(levels.config(daemon, webhook(daemon, hook.url + "/own", LOCAL + body), summary='a \\"quoted\\" {{ value }}'))
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    wait_notices(daemon, 1, notifier="webhook", state="sent")
    [request] = requests(hook)
    assert request["body"]["text"] == 'CRITICAL high-0: a "quoted" 20' and request["body"]["count"] == 1
    done = client("trigger", "webhook", "test", "--wait", "--yes", timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "tries whether webhook works" in requests(hook)[-1]["body"]["text"]


def test_a_body_that_is_no_json_for_some_notice_is_refused_before_the_night_it_comes(daemon, hook):
    levels = Levels(daemon)
    text = levels.config(daemon, webhook(daemon, hook.url + "/own", LOCAL + "    body: '{\"count\": {{ firing }}, \"where\": [{{ common }}]}'\n"))
    done = run_once(daemon.folder, text, "-t")
    line = 1 + text[:text.index("    body: ")].count("\n")
    assert done.returncode == 78 and f"once.yaml:{line}:" in done.stderr, done.stderr
    assert 'of a notice with quotes and newlines in its texts: `{"count": 1234, "where": [a` and what follows' in done.stderr


def test_what_may_have_arrived_comes_again_with_the_same_id_and_body(daemon, hook):
    levels = Levels(daemon, 1)
    hook.say("next cut")
    hook.say("next code 503 1")
    daemon.start(levels.config(daemon, webhook(daemon, hook.url + "/v4", LOCAL)))
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    [row] = wait_notices(daemon, 1, deadline=30, notifier="webhook", state="sent")
    tries = requests(hook)
    assert row["attempts"] == 3 and len({r["headers"]["webhook-id"] for r in tries}) == 1 and len(tries) == 3
    assert tries[2]["time"] - tries[1]["time"] >= 1


def test_a_refusal_is_final_and_loud(daemon, hook):
    levels = Levels(daemon, 1)
    hook.say("next code 422")
    daemon.start(levels.config(daemon, webhook(daemon, hook.url + "/v4", LOCAL)))
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    [row] = wait_notices(daemon, 1, notifier="webhook", state="dead")
    assert "it does not understand what it is sent" in row["reason"]
    daemon.wait_state("down", "422", name="webhook")
    assert_no_secret(daemon)


# ---- 39: back into our own sockets ----


@pytest.mark.parametrize("url", ["http://127.0.0.1:8470/api/v1/events", "http://[::1]:8470/", "http://0.0.0.0:8470/", "http://2130706433:8470/",
                                 "http://[::ffff:127.0.0.1]:8470/", "http://169.254.169.254/latest/meta-data/"])
def test_fault_39_an_address_that_leads_back_here_is_an_error_of_the_configuration(folder, daemon, url):
    levels = Levels(daemon, 1)
    text = levels.config(daemon, f"  - {{ plugin: webhook, url: \"{url}\" }}\n")
    done = run_once(folder, text, "-t")
    assert done.returncode == 78 and "leads to this machine itself or what is on its link only" in done.stderr, done.stderr


def test_fault_39_a_name_that_leads_back_here_is_refused_when_it_is_looked_up(daemon, hook):
    levels = Levels(daemon, 1)
    port = hook.url.rsplit(":", 1)[1]
    daemon.start(levels.config(daemon, webhook(daemon, f"http://localhost:{port}/v4")))
    daemon.wait_state("up", name="levels")
    levels.fire(0)
    daemon.wait_state("down", f"refused: localhost:{port} leads to this machine itself", name="webhook")
    row = wait_notices(daemon, 1, notifier="webhook", state="queued")[0]
    assert "allow_local" in row["reason"]
    assert requests(hook) == []
    daemon.configure(levels.config(daemon, webhook(daemon, f"http://localhost:{port}/v4", f"    allow_local: [\"127.0.0.1:{port}\", \"[::1]:{port}\"]\n")))
    daemon.hup()
    wait_notices(daemon, 1, deadline=30, notifier="webhook", state="sent")  # nothing was lost
    wait_for(lambda: requests(hook))
