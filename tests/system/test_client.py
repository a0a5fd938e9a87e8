# SPDX-License-Identifier: MIT
"""The callwatch command against a real callwatchd that watches a real Redis."""

import csv
import io
import json
import os
import pwd
import re
import signal
import subprocess
import threading
import time

import pytest

import harness

NUMBER = re.compile(r"\+\d{7,}")


def put_calls(redis, count=3, age=1.0, prefix="CA"):
    """Calls named prefix00, prefix01 …, with a heartbeat `age` seconds ago."""
    for i in range(count):
        started = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 600 - i))
        redis.client.hset(f"call_ctx:{prefix}{i:02}", mapping={"business_id": f"b-{i}", "from_phone_number": f"+1415555{1000 + i}",
                                                              "to_phone_number": "+4930123456", "start_time": started})
        redis.client.set(f"call_heartbeat:{prefix}{i:02}", f"{time.time() - age:.3f}")


@pytest.fixture
def platform(redis, daemon, client):
    put_calls(redis)
    daemon.start(harness.config(daemon, redis.url, calls="sweep: { max_age: 2s, budget: 50% }"))
    harness.wait_for(lambda: daemon.table("calls")["complete"] and daemon.total() == 3)
    daemon.wait_healthy()
    return client


def test_rows_for_people(platform):
    done = platform("calls")
    assert done.returncode == 0 and done.stderr == ""
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["instance", "call_sid"]
    assert sorted(line.split()[1] for line in lines[1:4]) == ["CA00", "CA01", "CA02"]
    assert "● healthy" in lines[1] and "10m" in lines[1]
    assert lines[4].startswith("3 rows · complete · ") and "confirmed" in lines[4]
    assert not NUMBER.search(done.stdout), "a full phone number is shown"
    assert "\x1b" not in done.stdout


def test_choosing_rows(platform):
    assert platform("get", "calls", "--where", "call_sid=CA01").stdout.count("CA0") == 1
    assert platform("calls", "--where", "call_sid!=CA01", "--where", "call_sid=~^CA").stdout.count("CA0") == 2
    done = platform("calls", "--limit", 2, "--sort", "-call_sid", "--columns", "call_sid,business_id")
    assert [line.split()[-2:] for line in done.stdout.splitlines()[1:3]] == [["CA02", "b-2"], ["CA01", "b-1"]]
    assert "2 of 3 rows" in done.stdout
    assert platform("calls", "CA02").stdout.count("CA0") == 1
    assert "1 row ·" in platform("calls", "CA02").stdout


@pytest.mark.parametrize("arguments, words", [
    (["cals"], "did you mean `calls`?"),
    (["calls", "--where", "health=stale"], "health"),
    (["calls", "--where", "health_status=purple"], "purple"),
    (["calls", "--columns", "hue"], "hue"),
    (["calls", "--sort", "hue"], "hue"),
    (["calls", "NONE"], "no such row"),
    (["describe", "calls", "NONE"], "no such row"),
    (["describe", "nothing", "NONE"], "there is no command and no table \"nothing\""),
])
def test_what_is_wrong_is_said(platform, arguments, words):
    done = platform(*arguments)
    assert done.returncode == 1 and done.stdout == ""
    assert words in done.stderr


def test_machine_formats(platform, daemon):
    answer = json.loads(platform("calls", "--format", "json").stdout)
    assert answer["total"] == 3 and answer["complete"] is True
    lines = [json.loads(line) for line in platform("calls", "--format", "ndjson").stdout.splitlines()]
    assert {row["call_sid"] for row in lines} == {"CA00", "CA01", "CA02"}
    rows = list(csv.DictReader(io.StringIO(platform("calls", "--format", "csv", "--columns", "call_sid,business_id").stdout)))
    assert {(row["call_sid"], row["business_id"]) for row in rows} == {("CA00", "b-0"), ("CA01", "b-1"), ("CA02", "b-2")}
    assert json.loads(platform("calls", "CA01", "--format", "json").stdout)["rows"][0]["business_id"] == "b-1"
    one = platform("calls", "CA01", "--format", "ndjson").stdout.splitlines()
    assert [json.loads(line)["business_id"] for line in one] == ["b-1"]
    assert len(json.loads(platform("calls", "--format", "json", "--limit", 0).stdout)["rows"]) == 3


def test_limit_is_100_for_people_and_none_for_streams(redis, daemon, client):
    put_calls(redis, 0)
    for i in range(150):
        redis.client.hset(f"call_ctx:N{i:03}", mapping={"start_time": "2026-01-01T00:00:00Z"})
    daemon.start(harness.config(daemon, redis.url))
    daemon.wait_total(150)
    assert "100 of 150 rows" in client("calls").stdout
    assert client("calls", "--limit", 0).stdout.count("\n") == 152
    assert client("calls", "--format", "ndjson").stdout.count("\n") == 150
    assert client("calls", "--format", "ndjson", "--limit", 7).stdout.count("\n") == 7
    assert len(json.loads(client("calls", "--format", "json").stdout)["rows"]) == 100


def test_reveal_shows_whole_numbers_to_an_operator(platform):
    assert NUMBER.search(platform("calls", "--reveal").stdout)
    assert not NUMBER.search(platform("describe", "calls", "CA00").stdout)
    assert "+14155551000" in platform("describe", "calls", "CA00", "--reveal").stdout
    def reveals():
        return [json.loads(line) for line in platform("events", "--where", "kind=reveal", "--format", "ndjson").stdout.splitlines()]

    platform("describe", "calls", "CA01", "--reveal")
    seen = harness.wait_for(lambda: [e for e in [reveals()] if "calls/CA01" in [event["subject"] for event in e]])[0]
    assert all(event["by"].startswith(f"{pwd.getpwuid(os.getuid()).pw_name}, process ") for event in seen)
    platform("describe", "calls", "CA02")
    assert not [event for event in reveals() if "CA02" in event["subject"]]


def test_describe_tells_the_row_and_its_story(platform, redis):
    redis.client.delete("call_heartbeat:CA00")
    done = platform("describe", "calls", "CA00")
    assert done.returncode == 0
    assert re.search(r"^  business_id +b-0$", done.stdout, re.M)
    assert re.search(r"^timeline$", done.stdout, re.M)


def test_the_short_help_of_a_table_names_its_columns(platform):
    done = platform("calls", "--help")
    assert done.returncode == 0
    assert "healthy|warning|stale" in done.stdout and "--where EXPR" in done.stdout


def test_status(platform):
    done = platform("status")
    assert done.returncode == 0, done.stdout
    assert re.match(r"callwatchd \S+ on testhost: ● healthy · pid \d+ · up ", done.stdout)
    assert re.search(r"^  calls +redis-calls +source +● up ", done.stdout, re.M)
    assert re.search(r"^  calls +3: ● 3 healthy · ▲ 0 warning · ✖ 0 stale\n +complete", done.stdout, re.M)
    check = platform("status", "--check")
    assert check.returncode == 0
    assert re.fullmatch(r"CALLWATCH OK - 2 of 2 instances up, 3 calls, 3 channels \| instances_up=2;;;0;2 "
                        r"samples_queued=0;;;0 spooled=0B;;;0 samples_dropped=0c;;;0 calls=3;;;0 calls_healthy=3;;;0 calls_warning=0;;;0 calls_stale=0;;;0 "
                        r"channels=3;;;0 channels_.*\n", check.stdout)


def test_a_blind_source_is_said_loudly_and_never_as_zero(platform, redis, daemon):
    redis.stop()
    daemon.wait_state("down")
    done = platform("calls")
    assert done.returncode == 0
    assert "✖ LAST KNOWN: calls is down since " in done.stdout and "rows are " in done.stdout
    assert done.stdout.count("CA0") == 3
    harness.wait_for(lambda: "✖ 3 down" in platform("status").stdout, 20)
    done = platform("channels")
    assert "✖ calls is down since " in done.stdout and "LAST KNOWN" not in done.stdout, "that they are down is known now"
    assert "✖ NOT KNOWN: calls is down since " in platform("calls", "--where", "call_sid=none").stdout, "no row is not: none exists"
    harness.wait_for(lambda: "LAST KNOWN" in platform("status").stdout, 20)
    done = platform("status")
    assert done.returncode == 1
    assert "on testhost: ▲ degraded ·" in done.stdout and "✖ down" in done.stdout and "next try" in done.stdout
    assert "0 calls" not in done.stdout
    check = platform("status", "--check")
    assert check.returncode == 2
    assert check.stdout.startswith("CALLWATCH CRITICAL - 1 of 2 instances up, calls not known, ") and "calls=" not in check.stdout
    redis.start()
    harness.wait_for(lambda: platform("status").returncode == 0, 20)


def test_reload_tells_the_outcome(platform, redis, daemon):
    done = platform("reload")
    assert done.returncode == 0 and done.stdout.strip()
    good = daemon.config_path.read_text()
    daemon.configure(good + "  - plugin: nonsense\n    colour: red\n")
    done = platform("reload")
    assert done.returncode == 1
    assert f"{daemon.config_path}:" in done.stderr and "nonsense" in done.stderr
    assert platform("status").returncode == 0, "a refused reload changes nothing"
    event = harness.wait_for(lambda: daemon.rows("events", where=["kind=reload", "to=failed"]))[0]
    assert not event["text"].endswith("\n")
    daemon.config_path.unlink()
    assert "cannot be read" in platform("reload").stderr
    harness.wait_for(lambda: re.search(r" error \S+: cannot be read", daemon.stderr), what="a message without a line, for there is none")
    daemon.configure(good)
    assert platform("reload").returncode == 0


def test_config_and_plugins_need_no_daemon(daemon, client):
    daemon.configure(harness.config(daemon, "redis://user:s3cret@127.0.0.1:1/0"))
    done = client("config", "show", "-c", daemon.config_path)
    assert done.returncode == 0, done.stderr
    assert "redis-calls" in done.stdout and str(daemon.config_path) in done.stdout
    assert "s3cret" not in done.stdout
    done = client("plugins", "-c", daemon.config_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^redis-calls +source ", done.stdout, re.M)
    by_name = client("plugins", "redis-calls", "-c", daemon.config_path)
    by_path = client("plugins", f"{harness.BUILD}/plugins/redis-calls.so")
    assert by_name.returncode == 0 and by_name.stdout == by_path.stdout
    for words in ("table calls:", "health_status", "calls_active{health}", "ACL SETUSER", "warning_after"):
        assert words in by_name.stdout
    done = client("plugins", "redis-cals", "-c", daemon.config_path)
    assert done.returncode == 1 and "did you mean redis-calls?" in done.stderr
    daemon.configure("plugins:\n  - plugin: [\n")
    assert client("config", "show", "-c", daemon.config_path).returncode == 78


def test_watch_on_a_terminal_follows_and_survives_a_restart(platform, redis, daemon):
    terminal = harness.Terminal(daemon, "calls", "--watch")
    harness.wait_for(lambda: "3 rows" in terminal.picture, 15)
    assert "Ctrl-C ends" in terminal.picture and "CA02" in terminal.picture
    put_calls(redis, 1, prefix="NEW")
    harness.wait_for(lambda: "NEW00" in terminal.picture and "4 rows" in terminal.picture, 30)
    redis.client.delete("call_ctx:NEW00", "call_heartbeat:NEW00")
    harness.wait_for(lambda: "NEW00" not in terminal.picture, 30)
    text = daemon.config_path.read_text()
    daemon.stop()
    harness.wait_for(lambda: "callwatchd does not answer, trying again" in terminal.picture, 15)
    assert "CA02" in terminal.picture, "the last rows stay"
    daemon.start(text)
    harness.wait_for(lambda: "does not answer" not in terminal.picture and "3 rows" in terminal.picture, 30)
    assert terminal.end() == 0
    assert terminal.text.endswith("\x1b[?25h"), "the cursor is shown again"


def test_watch_says_that_a_frozen_daemon_does_not_answer(platform, daemon):
    terminal = harness.Terminal(daemon, "calls", "--watch", columns=50)
    harness.wait_for(lambda: "3 rows" in terminal.picture, 15)
    assert re.search(r"for lack of\n? *width", terminal.picture.replace("\r", "")), "cut between words"
    daemon.process.freeze()
    harness.wait_for(lambda: "callwatchd does not answer" in terminal.picture.replace("\r\n  ", " "), 20)
    assert "CA02" in terminal.picture
    daemon.process.thaw()
    harness.wait_for(lambda: "does not answer" not in terminal.picture.replace("\r\n  ", " "), 20)
    assert terminal.end() == 0


def test_events_are_cut_but_not_their_subject(platform, redis, daemon):
    put_calls(redis, 1, prefix="CA2dbb76314b9fd05a6c96e4a4f94fea", age=100)
    name = "calls/CA2dbb76314b9fd05a6c96e4a4f94fea00"
    harness.wait_for(lambda: name in platform("events").stdout, 30)
    for columns in (80, 100):
        terminal = harness.Terminal(daemon, "events", columns=columns)
        assert terminal.process.wait(20 * harness.SLOWER) == 0
        terminal.reader.join(10)
        assert name in terminal.text and "not shown for lack of width: instance, id" in terminal.text, terminal.text
        os.close(terminal.master)


def test_a_table_is_cut_to_the_terminal(platform, daemon):
    for columns in (40, 80, 140):
        terminal = harness.Terminal(daemon, "calls", columns=columns)
        assert terminal.process.wait(20 * harness.SLOWER) == 0
        terminal.reader.join(10)
        lines = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", terminal.text).replace("\r", "").split("\n")
        assert all("CA0" in line and len(line) <= columns for line in lines[1:4]), lines
        os.close(terminal.master)


def test_watch_not_on_a_terminal_gives_lines(platform, redis, daemon):
    process = subprocess.Popen([harness.BIN / "callwatch", "--socket", daemon.socket, "calls", "--watch", "--columns", "business_id"],
                               stdout=subprocess.PIPE, text=True)
    seen = []
    threading.Thread(target=lambda: seen.extend(json.loads(line) for line in process.stdout), daemon=True).start()
    harness.wait_for(lambda: [line["op"] for line in seen].count("put") >= 3 and any(line["op"] == "sync" for line in seen), 15)
    assert seen[0]["op"] == "reset"
    redis.client.delete("call_ctx:CA00", "call_heartbeat:CA00")
    harness.wait_for(lambda: any(line["op"] == "remove" and line["row"]["call_sid"] == "CA00" for line in seen), 30)
    process.send_signal(signal.SIGINT)
    assert process.wait(20 * harness.SLOWER) == 0
    process.stdout.close()


def test_events_are_told(redis, daemon, client):
    put_calls(redis, 1, age=0)
    daemon.start(harness.config(daemon, redis.url, calls="warning_after: 2s\nstale_after: 4s"))
    done = harness.wait_for(lambda: [d for d in [client("events", "--where", "subject=calls/CA00")] if "stale" in d.stdout], 30)[0]
    assert re.search(r" transition +calls/CA00 +warning +stale ", done.stdout)
    assert "starting → " in client("describe", "instances", "calls").stdout.split("timeline\n")[1]
    story = client("describe", "calls", "CA00").stdout.split("timeline\n")[1]
    assert re.search(r"healthy → warning.*\n.*warning → stale", story), "in the order in which it happened"


def test_version_and_help_need_nothing(client):
    assert re.fullmatch(r"callwatch \d+\.\d+\.\d+\n", client("--version").stdout)
    whole = client("--help")
    assert whole.returncode == 0
    for command in ("status", "get", "describe", "events", "plugins", "config", "reload"):
        assert command in whole.stdout
        done = client(command, "--help")
        assert done.returncode == 0 and done.stdout.startswith(f"Usage: callwatch {command}"), command
    assert client().returncode == 2
    assert client("status", "--where", "a=b").returncode == 2
    assert client("describe", "calls").returncode == 2
