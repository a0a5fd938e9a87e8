# SPDX-License-Identifier: MIT
"""Notifier deadman: it pings while all is well, and says why it does not."""

import ctypes
import http.server
import os
import threading
import time
from pathlib import Path

import pytest
from harness import BUILD, always, free_port, run_client, wait_for
from notifiers import MailServer


class Switch:
    """What is pinged. `status` is its answer."""

    def __init__(self):
        switch, self.pings, self.status, self.retry_after = self, [], 200, None

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                switch.pings.append((self.command, self.path))
                self.send_response(switch.status)
                self.send_header("Content-Length", "2")
                if switch.retry_after:
                    self.send_header("Retry-After", switch.retry_after)
                self.end_headers()
                if self.command != "HEAD":
                    self.wfile.write(b"OK")

            do_POST = do_HEAD = do_GET

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/ping/canary-9f3c"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def pings_on(self, n=2):
        before = len(self.pings)
        wait_for(lambda: len(self.pings) >= before + n, 20, what="pings")


@pytest.fixture
def switch():
    switch = Switch()
    yield switch
    switch.stop()


def configured(daemon, switch, options="", more=""):
    return (f"agent: {{ plugin_dir: [{BUILD}/plugins], interval: 1s, state_dir: {daemon.folder}/state }}\n"
            "plugins:\n"
            f'  - {{ plugin: deadman, url: "{switch.url}", interval: 500ms, allow_local: [127.0.0.1]{options} }}\n'
            f"  - {{ plugin: web, listen: [unix:{daemon.socket}] }}\n" + more)


@pytest.mark.sanitize
def test_it_pings_while_all_is_well_and_a_failed_ping_is_down(daemon, switch):
    daemon.start(configured(daemon, switch, ", method: POST"))
    daemon.wait_state("up", name="deadman")
    switch.pings_on()
    assert set(switch.pings) == {("POST", "/ping/canary-9f3c")}
    switch.status = 404
    daemon.wait_state("down", "it is answered with 404 Not Found", name="deadman")
    switch.pings_on()  # tried again within the interval
    switch.status = 200
    daemon.wait_state("up", name="deadman")
    shown = run_client(daemon, "doctor", "deadman").stdout + run_client(daemon, "config", "show").stdout + daemon.stderr
    assert "all is well" in shown and "canary-9f3c" not in shown


def test_it_stops_when_no_notifier_works_and_goes_on_when_one_does(daemon, switch):
    port = free_port()
    mail = f'  - {{ plugin: email, smarthost: "127.0.0.1:{port}", from: "a@example.net", to: ["b@example.net"], require_tls: false }}\n'
    daemon.start(configured(daemon, switch, ", method: HEAD", mail))
    daemon.wait_state("degraded", "not pinging: no notifier works, first email is down", name="deadman")
    n = len(switch.pings)
    always(lambda: len(switch.pings) == n, 2, what="no ping")
    assert run_client(daemon, "trigger", "deadman", "test", "--yes", "--wait").returncode == 0 and len(switch.pings) > n  # the action does
    server = MailServer(port=port)
    server.start()
    try:
        daemon.wait_state("up", name="email", deadline=40)
        daemon.wait_state("up", name="deadman")
        switch.pings_on()
    finally:
        server.stop()


def test_retry_after_is_obeyed(daemon, switch):
    switch.status, switch.retry_after = 429, "4"
    daemon.start(configured(daemon, switch))
    daemon.wait_state("down", "it is answered with 429", name="deadman")
    first = time.monotonic()
    n = len(switch.pings)
    switch.status = 200
    wait_for(lambda: len(switch.pings) > n, 20, what="the next ping")
    assert time.monotonic() - first > 2  # it was seen to be down within a second
    daemon.wait_state("up", name="deadman")


def test_what_well_includes_is_a_choice(daemon, switch):
    more = f'  - {{ plugin: graphite, address: "127.0.0.1:{free_port()}", interval: 1s }}\n'
    daemon.start(configured(daemon, switch, ", well: [outputs]", more))
    daemon.wait_state("degraded", "not pinging: 1 of 1 outputs do not work, first graphite is down", name="deadman")


def test_it_does_not_ping_this_machine_unless_it_may(daemon, switch):
    daemon.start(configured(daemon, switch).replace(", allow_local: [127.0.0.1]", "").replace("127.0.0.1:", "localhost:"))
    daemon.wait_state("down", "the ping fails", name="deadman")
    assert not switch.pings


def hold_thread(process, name):
    """Stops one thread, as a debugger does; gives what lets it go on."""
    PTRACE_ATTACH, PTRACE_DETACH = 16, 17
    [tid] = [int(task.name) for task in Path(f"/proc/{process.pid}/task").iterdir() if (task / "comm").read_text().strip() == name]
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.ptrace(PTRACE_ATTACH, tid, None, None) != 0:
        pytest.skip(f"no thread can be held here: {os.strerror(ctypes.get_errno())}")
    os.waitpid(tid, 0x40000000)  # __WALL
    return lambda: libc.ptrace(PTRACE_DETACH, tid, None, None)


def test_it_does_not_ping_while_alerting_hangs(daemon, switch):
    daemon.start(configured(daemon, switch))
    daemon.wait_state("up", name="deadman")
    switch.pings_on()
    let_go = hold_thread(daemon.process, "alerts")
    try:
        wait_for(lambda: any("alerting stands still" in (row["reason"] or "") for row in daemon.rows("instances", where="instance=deadman")), 40)
        before = len(switch.pings)
        always(lambda: len(switch.pings) == before, 2)
    finally:
        let_go()
    daemon.wait_state("up", name="deadman")
    switch.pings_on()
