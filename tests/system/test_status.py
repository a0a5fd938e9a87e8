# SPDX-License-Identifier: MIT
"""What is told of the whole: `callwatch status --check` as a Nagios plugin, and USR2 to the log."""

import json
import os
import re
import signal

import pytest

from harness import BUILD, config, run_client, wait_for

FIGURE = re.compile(r"\w+=-?\d+[cB]?(;\d*){0,2};0(;\d+)?")


def configuration(daemon, plugins):
    return (f"agent:\n  hostname: testhost\n  interval: 1s\n  state_dir: {daemon.folder}/state\n  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\n"
            "plugins:\n" + plugins + f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")


def check(client, *arguments):
    """(code, sentence, figures as a dictionary) of one line in the grammar of the monitoring plugins."""
    done = client("status", "--check", *arguments)
    assert done.stdout.count("\n") == 1 and done.stdout.count("|") <= 1, done.stdout
    word = ["OK", "WARNING", "CRITICAL", "UNKNOWN"][done.returncode]
    assert done.stdout.startswith(f"CALLWATCH {word} - ")
    sentence, _, figures = done.stdout.partition(" | ")
    for figure in figures.split():
        assert FIGURE.fullmatch(figure), figure
    return done.returncode, sentence, dict(f.split(";")[0].split("=") for f in figures.split())


def becomes(client, code, text):
    wait_for(lambda: (lambda c: c[0] == code and text in c[1])(check(client)), 20, what=f"{code}, {text}")
    return check(client)


def test_check_is_ok_then_critical_for_a_source_that_is_down(redis, daemon, client):
    redis.client.hset("call_ctx:CA1", "business_id", "b")
    daemon.start(config(daemon, redis.url))
    _, sentence, figures = becomes(client, 0, " 1 calls")
    assert sentence.startswith("CALLWATCH OK - 2 of 2 instances up")
    assert figures["instances_up"] == "2" and figures["calls"] == "1" and figures["samples_dropped"] == "0c"
    redis.stop()
    _, sentence, figures = becomes(client, 2, "calls is down: ")
    assert "calls not known" in sentence and "calls" not in figures, "what is not known is no figure"
    redis.start()
    becomes(client, 0, "2 of 2 instances up")


def test_check_warns_of_what_is_degraded(redis, daemon, client):
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all", "-subscribe")
    daemon.start(config(daemon, redis.url, calls="username: watcher\npassword: pass-4711"))
    _, sentence, figures = becomes(client, 1, "calls is degraded: no pub/sub")
    assert figures["instances_up"] == "1"


def test_check_is_critical_for_an_output_that_is_down(daemon, client):
    reader, writer = os.pipe()
    daemon.start(configuration(daemon, "  - { plugin: steady, name: s }\n  - { plugin: stdout }\n"), preexec=lambda: os.dup2(writer, 1))
    os.close(writer)
    becomes(client, 0, "3 of 3 instances up")
    os.close(reader)
    becomes(client, 2, "stdout is down: nobody reads standard output any more")


def test_check_warns_of_lost_samples_though_all_is_up(daemon, client):
    daemon.start(configuration(daemon, "  - { plugin: steady, name: s }\n  - { plugin: rogue, name: r, how: bad_samples }\n"))
    _, sentence, figures = becomes(client, 1, "r lost samples ")
    assert "3 of 3 instances up" in sentence and "`callwatch doctor r`" in sentence
    assert int(figures["samples_dropped"].rstrip("c")) > 0
    shown = client("status")
    assert shown.returncode == 1 and "r lost samples" in shown.stdout
    assert daemon.instance("s")["last_drop"] is None and daemon.instance("r")["last_drop"] is not None


@pytest.mark.sanitize
def test_check_is_critical_for_who_is_stuck_and_usr2_says_where(daemon, client):
    daemon.start(configuration(daemon, "  - { plugin: rogue, name: r, how: read_blocks, for: 60s }\n  - { plugin: steady, name: s, broken: true }\n"
                               "  - { plugin: stdout }\n"), wait=False)
    daemon.wait_state("stuck", "in read()", deadline=30, name="r")
    becomes(client, 2, "r is stuck: in read() for ")
    before = len(daemon.stderr)
    daemon.process.send(signal.SIGUSR2)
    wait_for(lambda: daemon.stderr[before:].count("\n") >= 5)
    lines = daemon.stderr[before:].splitlines()
    assert re.search(r" up for \S+ with 4 instances$", lines[0])
    told = {re.search(r"\[(\w+)\]", line)[1]: line for line in lines[1:5]}
    assert set(told) == {"r", "s", "stdout", "web"}
    assert re.search(r"stuck: in read\(\) for \d+ s: the plugin hangs; .*; no reading has succeeded yet, one is due every 1s; 0 errors, 0 readings, \d+ overruns", told["r"]), told["r"]
    assert re.search(r"down for \S+: broken, as configured; no reading has succeeded yet, .*; \d+ errors, \d+ readings, 0 overruns, 0 malformed$", told["s"])
    assert re.search(r"up for \S+; last sent \S+ ago; \d+ samples wait; nothing dropped; 0 errors$", told["stdout"]), told["stdout"]
    daemon.process.send(signal.SIGUSR2)
    wait_for(lambda: daemon.stderr[before:].count("[s] down for ") >= 2, what="a second answer that is not folded away")


def test_usr2_tells_what_a_full_queue_dropped(daemon):
    reader, writer = os.pipe()
    daemon.start(configuration(daemon, "  - { plugin: flood, name: f, series: 5000 }\n  - { plugin: stdout, queue: 5000 }\n"),
                 preexec=lambda: os.dup2(writer, 1))
    os.close(writer)
    wait_for(lambda: daemon.instance("stdout")["dropped"] > 0, 20)
    daemon.process.send(signal.SIGUSR2)
    line = wait_for(lambda: re.search(r"\[stdout\] \w+ for .* samples wait; (\d+) dropped \((\d+) queue_full\), the last \S+ ago.*", daemon.stderr))
    assert line[1] == line[2]
    os.close(reader)


def test_check_that_is_asked_wrongly_or_reaches_nobody_is_unknown(daemon, client, folder):
    code, sentence, figures = check(client)
    assert code == 3 and not figures and "there is no socket" in sentence
    for arguments in (["--bogus"], ["word"], ["--where", "a=b"], ["--url", "ftp://h"]):
        assert run_client(daemon, *([] if "--url" in arguments else []), "status", "--check", *arguments).returncode == 3, arguments
    daemon.start(configuration(daemon, "  - { plugin: steady, name: s }\n"))
    daemon.process.freeze()
    try:
        assert "no answer came" in check(client)[1]
    finally:
        daemon.process.thaw()
    status = json.loads(client("get", "instances", "--format", "json").stdout)
    assert "last_drop" in status["columns"]
