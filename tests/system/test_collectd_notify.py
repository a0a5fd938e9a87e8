# SPDX-License-Identifier: MIT
"""Notifier collectd-notify against a real collectd, whose plugin logfile writes down each notification."""

import re

import pytest
from collectd import Collectd
from harness import BUILD, run_client, wait_for
from notifiers import Notifier


@pytest.fixture
def collectd(folder):
    collectd = Collectd(folder, csv=False).start()
    yield collectd
    collectd.thaw()
    collectd.stop()


@pytest.fixture
def notifier(folder, collectd):
    notifier = Notifier(folder, "collectd-notify", f"socket={collectd.socket}")
    yield notifier
    notifier.stop()


def notifications(collectd):
    return [line for line in collectd.log.read_text().splitlines() if "Notification:" in line]


@pytest.mark.sanitize
def test_a_notice_is_a_notification_of_collectd(collectd, notifier):
    notifier.wait_state("up")
    hostile = 'a "quoted" \\ title\nPUTNOTIF severity=okay x ' + "ü" * 300
    assert notifier.notify(title="37 of 849 calls silent", severity=2)["outcome"] == "delivered"
    assert notifier.notify(title="37 of 849 calls silent", severity=2, kind=1, id="0a1b-2-ffff")["outcome"] == "delivered"
    assert notifier.notify(title=hostile, severity=1, id="0a1b-3-eeee")["outcome"] == "delivered"
    lines = wait_for(lambda: len(found := notifications(collectd)) == 3 and found, 10, what="three notifications")
    for words in ("severity = FAILURE", "host = testhost", "plugin = callwatch", "plugin_instance = call-stale", "type = alert",
                  "message = 37 of 849 calls silent [0a1b-1-2c3d]"):
        assert words in lines[0], lines[0]
    assert "severity = OKAY" in lines[1] and "37 of 849 calls silent (resolved) [0a1b-2-ffff]" in lines[1]
    assert "severity = WARNING" in lines[2] and 'a "quoted" \\ title\\nPUTNOTIF severity=okay x ü' in lines[2]
    message = re.search("message = (.*)", lines[2])[1]
    assert message.endswith("ü [0a1b-3-eeee]") and 250 < len(message.encode()) <= 255
    assert notifier.examine("answers") == ("ok", "collectd answers")


def test_without_collectd_it_waits_and_a_frozen_one_is_doubtful(collectd, notifier):
    notifier.wait_state("up")
    collectd.freeze()
    told = notifier.notify()
    assert told["outcome"] == "doubtful" and "hangs or is stopped" in told["reason"]
    collectd.thaw()
    assert notifier.notify(is_doubtful=True, attempt=2)["outcome"] == "delivered"
    wait_for(lambda: any("[0a1b-1-2c3d, again]" in line for line in notifications(collectd)), 10, what="the second")
    collectd.stop()
    told = notifier.notify()
    assert told["outcome"] == "try again" and notifier.state()["state"] == "down" and str(collectd.socket) in told["reason"]
    collectd.start()
    notifier.wait_state("up", deadline=40)


def test_the_action_test_goes_the_way_of_alerts(collectd, daemon):
    daemon.start(f"agent: {{ plugin_dir: [{BUILD}/plugins], state_dir: {daemon.folder}/state }}\n"
                 "plugins:\n"
                 f"  - {{ plugin: collectd-notify, socket: {collectd.socket} }}\n"
                 f"  - {{ plugin: web, listen: [unix:{daemon.socket}] }}\n")
    daemon.wait_state("up", name="collectd-notify")
    done = run_client(daemon, "trigger", "collectd-notify", "test", "--yes", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: any("(test) [" in line for line in notifications(collectd)), 10, what="the notification")
