# SPDX-License-Identifier: MIT
"""Faults of the agent itself: plugins that hang, plugins that cannot be loaded, reloads, signals, descriptors, secrets.

The plugins are those of tests/plugins; only the web plugin is a real one, to ask the daemon.
"""

import contextlib
import json
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time

import pytest

from harness import BIN, BUILD, SANITIZED, SLOWER, Process, always, book_runs, check_books, config, run_client, run_once, wait_for

PLUGINS = BUILD / "tests/plugins"


def configuration(daemon, plugins, agent=""):
    """`plugins`: lines of YAML, entries of `plugins:`."""
    return (
        f"agent:\n  hostname: testhost\n  interval: 200ms\n  state_dir: {daemon.folder}/state\n"
        f"  plugin_dir: [{BUILD}/plugins, {PLUGINS}]\n{agent}"
        f"plugins:\n  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n{plugins}"
    )


def steady(name="steady", more=""):
    return f"  - {{ plugin: steady, name: {name}{', ' + more if more else ''} }}\n"


def reload(daemon):
    """callwatch reload: (exit code, what it printed)."""
    done = run_client(daemon, "reload")
    return done.returncode, done.stdout + done.stderr


def reads(daemon, name="steady"):
    return daemon.instance(name)["reads"]


def since(daemon, name):
    return daemon.instance(name)["since"]


# ---- 53: a plugin hangs ----


def test_fault_53_hanging_plugins_are_stuck_and_delay_nobody(daemon):
    daemon.start(configuration(
        daemon,
        steady("on-time")
        + "  - { plugin: rogue, name: blocker, how: read_blocks, for: 60s }\n"
        + "  - { plugin: rogue, name: looper, how: read_loops }\n"
        + "  - { plugin: rogue, name: sleeper, how: loop_blocks, for: 60s }\n"
        + "  - { plugin: rogue, name: starter, how: start_blocks, for: 60s }\n"), wait=False)
    for name, where in (("blocker", "in read()"), ("looper", "in read()"), ("sleeper", "its loop"), ("starter", "in start()")):
        daemon.wait_state("stuck", where, deadline=25, name=name)
    row = daemon.instance("on-time")
    assert row["state"] == "up"
    assert row["reads"] >= 20, row  # of about fifty
    before = reads(daemon, "on-time")
    wait_for(lambda: reads(daemon, "on-time") > before + 5)
    daemon.stop()
    assert "did not end in time" in daemon.stderr


def test_fault_53_a_stuck_plugin_comes_back(daemon):
    daemon.start(configuration(daemon, "  - { plugin: rogue, name: slow, how: read_blocks, for: 12s, interval: 1h }\n"), wait=False)
    daemon.wait_state("stuck", "in read() for", deadline=25, name="slow")
    daemon.wait_state("up", deadline=25, name="slow")


@pytest.mark.sanitize
def test_fault_53_a_stuck_plugin_is_left_behind_by_a_reload_and_its_name_is_free(daemon):
    text = configuration(daemon, steady() + "  - { plugin: rogue, name: x, how: read_blocks, for: 60s }\n")
    daemon.start(text, wait=False)
    wait_for(lambda: daemon.instance("x"))
    daemon.configure(configuration(daemon, steady() + steady("x")))
    code, text = reload(daemon)
    assert code == 0 and "restarted (x)" in text, text
    daemon.wait_state("up", name="x")


def test_state_is_said_each_time_it_changes_and_the_last_word_is_true(redis, daemon):
    daemon.start(config(daemon, redis.url))
    for _ in range(3):
        daemon.wait_state("up")
        redis.client.execute_command("CLIENT", "KILL", "TYPE", "normal")
        daemon.wait_state("down")
    daemon.wait_state("up")
    said = wait_for(lambda: (words := re.findall(r"\[calls\] (\w+)", daemon.stderr)) and len(words) >= 7 and words)
    assert said == ["up", "down"] * 3 + ["up"]


def test_fault_53_a_stuck_source_does_not_keep_the_agent_from_being_ready(daemon):
    daemon.start(configuration(daemon, steady() + "  - { plugin: rogue, name: x, how: read_blocks, for: 60s }\n"), wait=False)
    wait_for(lambda: daemon.request("GET", "/-/ready")[0] == 503)
    daemon.wait_state("stuck", deadline=25, name="x")
    daemon.wait_ready()


@pytest.mark.parametrize("seconds", [4, 8])  # it ends in time, or is left behind after five
def test_fault_53_who_fails_to_start_when_nobody_wants_it_any_more_does_not_end_the_agent(daemon, seconds):
    hanging = f"  - {{ plugin: nostart, name: x, after: {seconds}s, on_start_error: fail }}\n"
    daemon.start(configuration(daemon, steady() + hanging), wait=False)
    wait_for(lambda: daemon.instance("x"))
    daemon.configure(configuration(daemon, steady()))
    assert "1 removed (x)" in reload(daemon)[1]
    always(lambda: daemon.process.running, seconds)


def test_freeze_of_the_whole_process_makes_nobody_stuck_and_no_burst(daemon):
    daemon.start(configuration(daemon, steady()))
    before = daemon.instance("steady")
    daemon.process.freeze()
    time.sleep(12)  # the fault itself: the process must be away for longer than the limit of `stuck`
    daemon.process.thaw()
    wait_for(lambda: reads(daemon) > before["reads"])
    after = daemon.instance("steady")
    assert after["reads"] - before["reads"] < 30, "the missed ticks were replayed"
    assert after["overruns"] > before["overruns"] + 40
    assert "stuck" not in daemon.stderr


# ---- 55: a plugin that cannot be loaded ----


@pytest.mark.parametrize("plugin,words", [
    ("wrong-abi", "made for plugin ABI 2.0, this callwatch has 1.3"),
    ("newer-minor", "made for plugin ABI 1.4, this callwatch has 1.3"),
    ("no-symbol", "no symbol cw_plugin"),
    ("undefined", "nobody_has_this_function"),
    ("bad-table", "0 key columns"),
    ("staedy", "did you mean `steady`"),
])
def test_fault_55_bad_plugin_is_refused_with_its_place(daemon, plugin, words):
    done = run_once(daemon.folder, configuration(daemon, f"  - plugin: {plugin}\n"), "-t")
    assert done.returncode == 78
    assert words in done.stderr
    assert "once.yaml:9:13: " in done.stderr


def test_fault_55_writable_and_cut_plugins_are_refused(daemon):
    folder = daemon.folder / "plugins"
    folder.mkdir(mode=0o755)
    plugin = shutil.copy(PLUGINS / "steady.so", folder / "steady.so")
    text = configuration(daemon, steady()).replace(str(PLUGINS), str(folder))
    os.chmod(plugin, 0o755)
    assert run_once(daemon.folder, text, "-t").returncode == 0
    os.chmod(plugin, 0o777)
    assert "chmod go-w" in run_once(daemon.folder, text, "-t").stderr
    os.chmod(plugin, 0o755)
    os.chmod(folder, 0o777)
    assert "chmod go-w" in run_once(daemon.folder, text, "-t").stderr
    os.chmod(folder, 0o755)
    os.truncate(plugin, os.path.getsize(plugin) // 2)
    assert "cut short" in run_once(daemon.folder, text, "-t").stderr


# ---- 56: a reload with a broken configuration ----


BROKEN = [
    ("  - { plugin: steady, name: two, rosw: 3 }\n", "rows"),
    ("  - { plugin: steady, name: two, rows: many }\n", "rows"),
    ("  - { plugin: steady, name: two, rows: 100000 }\n", "1000"),
    ("  - { plugin: steady, name: two, other: nobody }\n", "there is no instance `nobody`"),
    ("  - { plugin: steady, name: two, connection: main }\n", "there is no connection `main`"),
    ("  - { plugin: steady, name: two, secret_file: /nonexistent }\n", "/nonexistent"),
    ("  - { plugin: steady, name: two, refuse: true }\n", "refuses to be asked"),
    ("  - { plugin: steady, name: two, isolate: true }\n", "not available"),
    ("  - { plugin: steady, name: agent }\n", "reserved"),
    ("  - { plugin: steady }\n  - { plugin: steady }\n", "steady"),
    ("  - { plugin: wrong-abi }\n", "ABI"),
    ("  - [\n", ":"),
]


def test_fault_56_reload_with_a_broken_configuration_changes_nothing(daemon):
    good = configuration(daemon, steady("one"))
    daemon.start(good)
    born = since(daemon, "one")
    for entry, words in BROKEN:
        daemon.configure(good + steady("three") + entry)
        code, text = reload(daemon)
        assert code == 1, (entry, text)
        assert f"{daemon.config_path}:" in text and words in text, (entry, text)
        assert {r["instance"] for r in daemon.rows("instances")} >= {"one", "web"}
        assert daemon.instance("three") is None

    def told():  # an event is on its way to the table when the outcome has been answered
        return [row["text"] for row in daemon.rows("events", where=["kind=reload", "to=failed"])]

    wait_for(lambda: len(told()) == len(BROKEN))
    assert not any(text.endswith("\n") for text in told())
    before = reads(daemon, "one")
    wait_for(lambda: reads(daemon, "one") > before)
    assert since(daemon, "one") == born
    daemon.configure(good)
    assert reload(daemon)[0] == 0


def test_reload_touches_only_what_changed(daemon):
    secret = daemon.folder / "secret"
    secret.write_text("one\n")
    secret.chmod(0o600)

    def text(rows, more=""):
        return configuration(daemon, steady("same") + steady("changed", f"rows: {rows}")
                             + steady("secret", f"secret_file: {secret}") + more)

    daemon.start(text(3))
    wait_for(lambda: len(daemon.rows("steps")) == 9)
    born = {name: since(daemon, name) for name in ("same", "secret")}
    assert "4 unchanged" in reload(daemon)[1]
    daemon.configure(text(5, steady("new")))
    code, said = reload(daemon)
    assert code == 0 and "3 unchanged, 1 restarted (changed), 1 added (new), 0 removed" in said
    wait_for(lambda: len(daemon.rows("steps")) == 14)
    assert born == {name: since(daemon, name) for name in born}
    daemon.configure(text(5))
    assert "1 removed (new)" in reload(daemon)[1]
    wait_for(lambda: len(daemon.rows("steps")) == 11)
    assert "new" not in {r["instance"] for r in daemon.rows("steps")}


def test_reload_says_what_needs_a_restart(daemon):
    def outcome():  # of the reload after those that were there; the listener itself starts anew, so nobody can be answered
        before = len(daemon.rows("events", where="kind=reload"))
        daemon.hup()
        rows = wait_for(lambda: daemon.rows("events", where="kind=reload", sort="id")[before:])
        return rows[0]["text"]

    text = configuration(daemon, steady())
    daemon.start(text)
    daemon.configure(text.replace("hostname: testhost", "hostname: other\n  labels: { room: one }"))
    said = outcome()
    assert "`agent: hostname:` changed, which needs a restart" in said
    assert "`agent: labels:` changed, which for the agent's own samples needs a restart" in said
    assert "interval" not in said and "state_dir" not in said
    daemon.configure(text)
    assert "needs a restart" not in outcome()


@pytest.mark.sanitize
def test_reload_a_hundred_times_leaves_nothing_behind(daemon):
    def text(i):
        return configuration(daemon, steady("a") + steady("b", f"rows: {i % 7}") + ("  - { plugin: nobody }\n" if i % 2 else ""))

    daemon.start(text(0))
    for i in range(2, 12):
        daemon.configure(text(i))
        reload(daemon)
    fds, rss = daemon.process.fds(), daemon.process.rss_kib()
    for i in range(100):
        daemon.configure(text(i))
        assert reload(daemon)[0] == i % 2
    wait_for(lambda: daemon.process.fds() <= fds, what=f"{fds} descriptors")
    assert SANITIZED or daemon.process.rss_kib() < rss + 4096  # a sanitizer keeps what was freed


@pytest.mark.sanitize
def test_reload_of_the_frontend_that_asks_for_it(daemon):
    """The answer may be lost with the connection; the outcome and the agent are not."""
    text = configuration(daemon, steady())
    daemon.start(text)
    for i in range(6):
        other = f"{daemon.folder}/other-{i}.sock"
        daemon.configure(text.replace("listen: [", f"listen: [\"unix:{other}\", "))
        code, said = reload(daemon)
        assert code == 0 and "1 restarted (web)" in said, said
        wait_for(lambda: os.path.exists(other))
        wait_for(lambda: daemon.request("GET", "/-/ready")[0] == 200)
        wait_for(lambda: [r["to"] for r in daemon.rows("events", where="kind=reload", sort="-id", limit=1)] == ["ok"])


# ---- 57: storms, an end in the middle, two daemons ----


@pytest.mark.sanitize
def test_fault_57_reload_storm_and_an_end_in_the_middle(daemon):
    text = configuration(daemon, steady("a") + "  - { plugin: rogue, name: x, how: stop_blocks, for: 60s }\n")
    daemon.start(text)
    for i in range(50):
        daemon.configure(text.replace("name: a", f"name: a{i % 3}"))
        daemon.hup()
        time.sleep(0.01)
    wait_for(lambda: daemon.rows("instances"))
    daemon.configure(text.replace("for: 60s", "for: 61s"))
    daemon.hup()  # x has five seconds to end, and will not
    daemon.stop()


def blocks_signals(pid):
    with open(f"/proc/{pid}/status") as f:
        return int(re.search(r"SigBlk:\s+(\w+)", f.read())[1], 16) & (1 << (signal.SIGHUP - 1))


def test_fault_57_signals_in_the_first_moment_do_not_kill(daemon):
    for number in (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2):
        daemon.start(configuration(daemon, steady()), wait=False)
        wait_for(lambda: blocks_signals(daemon.pid), every=0.0005)  # main() has begun; before that no program can do anything
        for _ in range(20):
            daemon.process.send(number)
            time.sleep(0.001)
        daemon.wait_ready()
        daemon.stop()


def test_fault_57_second_daemon_says_who_runs_and_the_first_is_not_hurt(daemon):
    text = configuration(daemon, steady())
    daemon.start(text)
    second = Process(daemon.folder, "second", [BIN / "callwatchd", "-c", daemon.config_path])
    assert second.popen.wait(20) == 1
    assert f"another callwatchd (process {daemon.pid})" in second.stderr
    assert daemon.instance("steady")["state"] == "up"
    daemon.process.kill()
    daemon.start(text)  # nothing stale is in the way


def test_state_dir_that_cannot_be_written_is_a_warning(daemon):
    blocked = daemon.folder / "file"
    blocked.write_text("")
    daemon.start(configuration(daemon, steady()).replace(f"{daemon.folder}/state", f"{blocked}/state"))
    assert "running on without it" in daemon.stderr


# ---- 51: few descriptors ----


def test_fault_51_few_descriptors_are_said_and_the_agent_lives(daemon):
    def few():
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    daemon.start(configuration(daemon, "".join(steady(f"s{i}") for i in range(30))), wait=False, preexec=few)
    wait_for(lambda: "file descriptor limit 64 reached: raise LimitNOFILE" in daemon.stderr, 20)
    wait_for(lambda: "has room for about" in daemon.stderr)
    always(lambda: daemon.process.running, 2)
    assert daemon.stderr.count(" up") >= 2
    daemon.stop()


# ---- 61: nobody reads what we say ----


def fill(write_end):
    os.set_blocking(write_end, False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(write_end, b"x" * 4096)
    os.set_blocking(write_end, True)


def start_with(daemon, plugins, **streams):
    daemon.configure(configuration(daemon, plugins))
    return subprocess.Popen([str(BIN / "callwatchd"), "-c", str(daemon.config_path)], stdin=subprocess.DEVNULL, **streams)


def ends_well(popen):
    popen.send_signal(signal.SIGTERM)
    assert popen.wait(20) == 0


def test_fault_61_the_end_comes_within_five_seconds_whatever_hangs(daemon):
    """A source that hangs, an output and a log that nobody reads: each may take its share, together they are in time."""
    read_end, write_end = os.pipe()
    popen = start_with(daemon, steady("s") + "  - { plugin: rogue, name: x, how: stop_blocks, for: 60s }\n"
                       + "  - { plugin: stdout, name: out, format: json }\n", stdout=write_end, stderr=write_end)
    try:
        wait_for(lambda: reads(daemon, "s") > 5)
        fill(write_end)
    finally:
        began = time.monotonic()
        popen.send_signal(signal.SIGTERM)
        code = popen.wait(20)
        assert time.monotonic() - began < 8 * SLOWER
        os.close(read_end)
        os.close(write_end)
    assert code == 0


@pytest.mark.parametrize("how", ["reader gone", "reader asleep", "closed"])
def test_fault_61_standard_streams_closed_full_or_gone(daemon, how):
    read_end, write_end = os.pipe()
    if how == "closed":
        daemon.configure(configuration(daemon, steady("s", "broken: true")))
        popen = subprocess.Popen(["/bin/sh", "-c", f'exec "{BIN}/callwatchd" -v -c "{daemon.config_path}" >&- 2>&- <&-'])
    else:
        if how == "reader gone":
            os.close(read_end)
        else:  # a full pipe, from the first byte
            fill(write_end)
        popen = start_with(daemon, steady("s") + "  - { plugin: stdout, name: out, format: text }\n", stdout=write_end, stderr=write_end)
    try:
        wait_for(lambda: reads(daemon, "s") > 5)
    finally:
        ends_well(popen)


# ---- 63: the secret's file ----


def test_fault_63_secret_file_rotated_wrong_mode_empty_removed(daemon):
    secret = daemon.folder / "the.secret"
    secret.write_text("first-secret\n")
    secret.chmod(0o600)
    daemon.start(configuration(daemon, steady("s", f"secret_file: {secret}")))
    daemon.wait_state("up", name="s")
    born = since(daemon, "s")
    assert "0 restarted" in reload(daemon)[1]

    secret.chmod(0o644)
    code, text = reload(daemon)
    assert code == 1 and "the.secret" in text and "0644" in text
    secret.unlink()
    code, text = reload(daemon)
    assert code == 1 and "the.secret" in text
    assert since(daemon, "s") == born and daemon.state("s")[0] == "up"

    secret.write_text("second-secret\n")
    secret.chmod(0o600)
    assert "1 restarted (s)" in reload(daemon)[1]
    daemon.wait_state("up", name="s")
    assert "first-secret" not in daemon.stderr and "second-secret" not in daemon.stderr


# ---- the books ----


@pytest.mark.sanitize
def test_books_balance_in_every_run_over_drops_reloads_and_bad_samples(daemon):
    """What all sources produced is what each output sent, has waiting, or dropped: each time the agent gives account."""
    def text(rows):
        return configuration(daemon, steady("a", "interval: 20ms") + steady("b", f"interval: 30ms, rows: {rows}")
                             + "  - { plugin: rogue, name: bad, how: bad_samples, interval: 50ms }\n"
                             + "  - { plugin: stdout, name: out, format: json }\n  - { plugin: refuser, name: full, queue: 300 }\n"
                             + "  - { plugin: refuser, name: picky, picky: true }\n")

    daemon.start(text(1))
    for rows in range(2, 7):
        daemon.configure(text(rows))
        assert "1 restarted (b)" in reload(daemon)[1]
        runs = len(book_runs(daemon))
        wait_for(lambda: len(book_runs(daemon)) > runs + 1)
    dropped = ("full", "samples_dropped_total", "queue_full")
    wait_for(lambda: book_runs(daemon)[-1][dropped] > 100)
    last = check_books(book_runs(daemon), ("out", "full", "picky"))[-1]
    assert last["full", "samples_sent_total", None] == 0 < last["out", "samples_sent_total", None]
    assert last["full", "output_queue_length", None] <= 300
    assert last["picky", "samples_sent_total", None] > last["picky", "samples_dropped_total", "refused"] > 0
    assert last["full", "samples_dropped_total", "refused"] == 0
    produced, invalid = last["bad", "samples_produced_total", None], last["bad", "samples_dropped_total", "invalid"]
    assert produced > 0 and invalid - 2 * produced in range(3)  # account may be given in the middle of a reading: two bad ones, then a good one


# ---- the service manager ----


class Manager:
    """What systemd is to the daemon: a socket that hears its words."""

    def __init__(self, folder):
        self.path = str(folder / "notify.sock")
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(self.path)
        self.socket.setblocking(False)
        self.heard = []

    def listen(self):
        with contextlib.suppress(BlockingIOError):
            while True:
                self.heard.append(self.socket.recv(4096).decode())
        return self.heard

    def words(self, word):
        return [h for h in self.listen() if word in h.split("\n")]

    def forget(self):
        self.listen()
        self.heard = []


@pytest.fixture
def manager(folder):
    made = Manager(folder)
    yield made
    made.socket.close()


@pytest.mark.sanitize
def test_service_manager_hears_ready_reloading_watchdog_and_stopping(daemon, manager):
    text = configuration(daemon, steady())
    daemon.start(text, env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    wait_for(lambda: manager.words("READY=1"))
    wait_for(lambda: len(manager.words("WATCHDOG=1")) > 5)
    assert len(manager.words("READY=1")) == 1
    manager.forget()
    daemon.hup()
    wait_for(lambda: manager.words("READY=1"))
    reloading = manager.words("RELOADING=1")[0]
    assert 0 < int(re.search(r"^MONOTONIC_USEC=(\d+)$", reloading, re.M)[1]) <= time.monotonic() * 1e6
    assert manager.heard.index(reloading) < manager.heard.index(manager.words("READY=1")[0])
    daemon.configure(text + "  - [\n")
    manager.forget()
    daemon.hup()
    assert "the last reload was refused" in wait_for(lambda: manager.words("READY=1"))[0]
    manager.forget()
    daemon.stop()
    assert manager.words("STOPPING=1") and not manager.words("READY=1")


def test_watchdog_is_fed_while_a_source_hangs_but_not_while_a_frontend_does(daemon, manager):
    daemon.start(configuration(daemon, "  - { plugin: rogue, name: x, how: read_blocks, for: 60s }\n  - { plugin: jammed, for: 16s }\n"), wait=False,
                 env={"NOTIFY_SOCKET": manager.path, "WATCHDOG_USEC": "400000"})
    daemon.wait_state("stuck", "in write()", deadline=25, name="jammed")
    time.sleep(0.5)  # what was said before it was found stuck
    manager.forget()
    daemon.wait_state("up", deadline=25, name="jammed")
    assert len(manager.words("WATCHDOG=1")) < 15, "fed while a frontend was stuck"  # five times a second, for six seconds
    assert daemon.state("x")[0] == "stuck"
    manager.forget()
    wait_for(lambda: len(manager.words("WATCHDOG=1")) > 5)


# ---- callwatchd as a command ----


def test_once_prints_the_samples_without_counters_and_says_who_was_down(daemon):
    text = configuration(daemon, steady())
    done = run_once(daemon.folder, text, "--once")
    assert done.returncode == 0, done.stderr
    assert "steady_rows" in done.stdout and "steady_readings_total" not in done.stdout
    done = run_once(daemon.folder, text + steady("b", "broken: true"), "--once", "--format", "json")
    assert done.returncode == 1
    assert "steady_rows" in done.stdout


def test_once_that_is_broken_off_or_cannot_print_has_failed(daemon):
    daemon.configure(configuration(daemon, "  - { plugin: rogue, name: x, how: never_done }\n"))
    process = Process(daemon.folder, "once", [BIN / "callwatchd", "-c", daemon.config_path, "--once"])
    wait_for(lambda: "longer than its timeout" in process.stderr)
    process.send(signal.SIGTERM)
    assert process.popen.wait(20) == 1
    daemon.configure(configuration(daemon, steady()))
    with open("/dev/full", "w") as full:
        done = subprocess.run([BIN / "callwatchd", "-c", daemon.config_path, "--once"], stdout=full, stderr=subprocess.PIPE, text=True, timeout=60)
    assert done.returncode == 1 and "No space left" in done.stderr


def test_once_takes_no_reload(daemon):
    daemon.configure(configuration(daemon, "  - { plugin: rogue, name: x, how: read_blocks, for: 3s }\n" + steady()))
    process = Process(daemon.folder, "once", [BIN / "callwatchd", "-c", daemon.config_path, "--once", "-v"])
    wait_for(lambda: blocks_signals(process.pid), every=0.0005)
    wait_for(lambda: "steady_rows" in process.stdout or process.send(signal.SIGHUP))
    process.send(signal.SIGHUP)
    assert process.popen.wait(30) == 0
    assert "steady_rows" in process.stdout
    assert "reloaded" not in process.stderr and "listening" not in process.stderr


def test_usage_and_exit_codes(daemon):
    def run(*arguments):
        return subprocess.run([str(BIN / "callwatchd"), *arguments], capture_output=True, text=True, timeout=20)

    assert run("--help").returncode == 0 and "Usage" in run("--help").stdout
    assert run("--version").stdout.startswith("callwatchd ")
    for wrong in (["--nonsense"], ["--format", "xml", "--once"], ["--format", "json"], ["-t", "--once"], ["--secrets"], ["word"]):
        assert run(*wrong).returncode == 2, wrong
    good = run_once(daemon.folder, configuration(daemon, steady()), "-t")
    assert good.returncode == 0 and good.stdout == "configuration ok: 2 instances\n"
    bad = run_once(daemon.folder, configuration(daemon, "".join(entry for entry, _ in BROKEN[:9])), "-t", "--secrets")
    assert bad.returncode == 78
    assert len([line for line in bad.stderr.split("\n") if ".yaml:" in line]) >= 9


def test_on_start_error_fail_ends_the_agent(daemon):
    daemon.configure(configuration(daemon, "  - { plugin: nostart, on_start_error: fail, reason: no such device }\n"))
    process = Process(daemon.folder, "failing", [BIN / "callwatchd", "-c", daemon.config_path])
    assert process.popen.wait(20) == 1
    assert "no such device" in process.stderr
