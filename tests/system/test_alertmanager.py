# SPDX-License-Identifier: MIT
"""Notifier alertmanager against two real Alertmanagers, clustered: of what both are given one notification comes out."""

import contextlib
import datetime
import http.server
import json
import shutil
import socket
import sqlite3
import threading
import time
import urllib.request

import pytest
from harness import BUILD, Process, always, free_port, run_client, wait_for

pytestmark = pytest.mark.skipif(not shutil.which("prometheus-alertmanager"), reason="prometheus-alertmanager is not installed")


class Receiver:
    """What Alertmanager's webhook sends."""

    def __init__(self):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                received.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def of(self, status, alertname):
        return [one for one in self.received for alert in one["alerts"] if alert["status"] == status and alert["labels"]["alertname"] == alertname]

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Alertmanager:
    def __init__(self, folder, name, receiver, peers=()):
        self.folder, self.name = folder / name, name
        self.folder.mkdir()
        self.port, self.cluster = free_port(), free_port()
        (self.folder / "conf.yml").write_text(
            "route: { receiver: all, group_by: [alertname], group_wait: 1s, group_interval: 1s, repeat_interval: 4h }\n"
            f'receivers: [ {{ name: all, webhook_configs: [ {{ url: "http://127.0.0.1:{receiver.port}/", send_resolved: true }} ] }} ]\n')
        self.peers = [f"--cluster.peer=127.0.0.1:{peer.cluster}" for peer in peers]
        self.start()

    def start(self):
        self.process = Process(self.folder, self.name, [
            "prometheus-alertmanager", f"--config.file={self.folder}/conf.yml", f"--storage.path={self.folder}/data",
            f"--web.listen-address=127.0.0.1:{self.port}", f"--cluster.listen-address=127.0.0.1:{self.cluster}", "--cluster.peer-timeout=3s",
            "--cluster.gossip-interval=50ms", "--cluster.pushpull-interval=1s", *self.peers])
        wait_for(lambda: self.get("/-/ready", raw=True), 20, what=f"{self.name} to be ready")
        return self

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def get(self, path, raw=False):
        with urllib.request.urlopen(self.url + path, timeout=5) as answer:
            return answer.read() if raw else json.load(answer)

    def alerts(self, name):
        return [alert for alert in self.get("/api/v2/alerts") if alert["labels"]["alertname"] == name]

    def stop(self):
        self.process.kill()


@pytest.fixture
def world(folder):
    """(receiver, [two members])"""
    receiver = Receiver()
    first = Alertmanager(folder, "am-1", receiver)
    second = Alertmanager(folder, "am-2", receiver, peers=[first])
    wait_for(lambda: all(len(am.get("/api/v2/status")["cluster"]["peers"]) == 2 and am.get("/api/v2/status")["cluster"]["status"] == "ready"
                         for am in (first, second)), 30, what="the two to be one cluster")
    yield receiver, [first, second]
    for am in (second, first):
        am.stop()
    receiver.stop()


class Relay:
    """What an output sends to, or does not: while it is closed that output is down, which is what the rule is about."""

    def __init__(self):
        self.port, self.socket = free_port(), None

    def open(self):
        self.socket = socket.create_server(("127.0.0.1", self.port))

    def close(self):
        if self.socket:
            self.socket.close()


@pytest.fixture
def relay():
    relay = Relay()
    yield relay
    relay.close()


def configured(daemon, members, relay):
    urls = ", ".join(f'"{am.url}"' for am in members)
    return (
        f"agent: {{ plugin_dir: [{BUILD}/plugins], interval: 1s, state_dir: {daemon.folder}/state }}\n"
        "plugins:\n"
        f'  - {{ plugin: graphite, name: relay, address: "127.0.0.1:{relay.port}", interval: 1s }}\n'
        f'  - {{ plugin: alertmanager, urls: [{urls}], interval: 2s, external_url: "https://callwatch.example.net/" }}\n'
        f"  - {{ plugin: web, listen: [unix:{daemon.socket}] }}\n"
        "rules:\n"
        "  - { name: relay-down, table: instances, where: [instance=relay, state=down], severity: critical, labels: { team: voice },\n"
        '      summary: "{{ subject }} is down" }\n')


def test_two_members_are_given_all_and_one_notification_comes_out(daemon, world, relay):
    receiver, members = world
    daemon.start(configured(daemon, members, relay))
    daemon.wait_state("up", name="alertmanager")
    wait_for(lambda: all(am.alerts("relay-down") for am in members), 30, what="both members to have it")
    alert = members[0].alerts("relay-down")[0]
    assert alert["labels"] == {"alertname": "relay-down", "severity": "critical", "instance": "relay", "subject": "relay", "team": "voice"}
    assert alert["annotations"]["summary"] == "relay is down"
    assert alert["generatorURL"] == "https://callwatch.example.net/?table=alerts&where=alert%3Drelay-down"
    wait_for(lambda: receiver.of("firing", "relay-down"), 30, what="a notification")
    # It is said again, so that it does not end by itself, and nobody is told again.
    end = datetime.datetime.fromisoformat(alert["endsAt"])
    wait_for(lambda: datetime.datetime.fromisoformat(members[0].alerts("relay-down")[0]["endsAt"]) > end, 20, what="it to be said again")
    always(lambda: len(receiver.of("firing", "relay-down")) == 1, 2, what="one notification only")
    relay.open()
    wait_for(lambda: receiver.of("resolved", "relay-down"), 30, what="its end")
    always(lambda: len(receiver.of("resolved", "relay-down")) == 1, 2, what="one end only")


def test_a_member_that_is_missing_is_degraded_and_gets_all_when_it_is_back(daemon, world, relay):
    receiver, members = world
    members[1].stop()
    daemon.start(configured(daemon, members, relay))
    daemon.wait_state("degraded", "1 of 2 members take alerts: connection refused", name="alertmanager")
    wait_for(lambda: receiver.of("firing", "relay-down"), 30, what="a notification")
    members[1].start()
    daemon.wait_state("up", name="alertmanager", deadline=30)
    wait_for(lambda: members[1].alerts("relay-down"), 20, what="the alert in the other")
    for am in members:
        am.stop()
    daemon.wait_state("down", "no member takes alerts", name="alertmanager", deadline=30)


def test_the_action_test_gives_every_member_an_alert(daemon, world, relay):
    receiver, members = world
    relay.open()
    daemon.start(configured(daemon, members, relay))
    daemon.wait_state("up", name="alertmanager")
    done = run_client(daemon, "trigger", "alertmanager", "test", "--yes", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    wait_for(lambda: all(am.alerts("callwatch-test") for am in members), 10, what="the test alert")
    wait_for(lambda: receiver.of("firing", "callwatch-test"), 30, what="its notification")
    verdict = run_client(daemon, "doctor", "alertmanager")
    assert "2 of 2 members take alerts" in verdict.stdout, verdict.stdout


def test_a_member_that_says_retry_after_is_left_alone_until_then(daemon, relay):
    asked = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            asked.append(time.monotonic())
            self.send_response(503 if len(asked) == 1 else 200)
            self.send_header("Retry-After", "8")
            self.end_headers()

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        daemon.start(configured(daemon, [], relay).replace("urls: []", f'urls: ["http://127.0.0.1:{server.server_address[1]}"]'))
        daemon.wait_state("down", "no member takes alerts: 127.0.0.1", name="alertmanager")
        daemon.wait_state("up", name="alertmanager", deadline=30)
        assert asked[1] - asked[0] > 7.9
        wait_for(lambda: len(asked) >= 4, 20, what="whoever takes alerts to be given them every interval, whatever it says")
        assert daemon.state("alertmanager")[0] == "up"
    finally:
        server.shutdown()
        server.server_close()


def test_fault_23_what_is_silenced_later_or_begins_in_the_future_is_said_until_it_ends(daemon, world, relay):
    receiver, members = world
    text = configured(daemon, members, relay)

    def ends():
        return max(alert["endsAt"] for alert in members[0].alerts("relay-down"))

    def is_said_on(times):
        for _ in range(times):
            last = ends()
            wait_for(lambda: ends() > last, 20, what="it to be said once more")

    daemon.start(text)
    wait_for(lambda: receiver.of("firing", "relay-down"), 30)
    run_client(daemon, "silence", "add", "alertname=relay-down", "-d", "2h", "-c", "known")
    is_said_on(2)
    daemon.process.kill()
    daemon.start(text)  # that it was said before is known over a restart
    wait_for(lambda: [row["silenced_by"] for row in daemon.rows("alerts") if row["alert"] == "relay-down"] not in ([], [None]), 20)
    is_said_on(2)
    assert receiver.of("resolved", "relay-down") == []
    daemon.process.kill()
    with contextlib.closing(sqlite3.connect(daemon.folder / "state/journal.db")) as db:  # as after a clock that was set back
        db.execute("update alert set firing_since = firing_since + 86400 * 1000000000")
        db.execute("delete from silence")
        db.commit()
    daemon.start(text)
    daemon.wait_state("up", name="alertmanager")
    is_said_on(1)
    assert receiver.of("resolved", "relay-down") == []
    relay.open()
    wait_for(lambda: receiver.of("resolved", "relay-down"), 30)
