# SPDX-License-Identifier: MIT
"""The disk spool of outputs: what an output does not take arrives later, once, in order, with its own times, whatever happens in between.

The source `counter` gives numbers that no other sample has; the output `sink` writes what it is given to a file, and fails or hangs while a
file beside it exists (both in tests/plugins). So what was produced can be held against what arrived. The agent's books are on stdout.
"""

import contextlib
import os
import re
import subprocess
import time

import pytest

from graphite import Receiver

from harness import BUILD, LARGE, SLOWER, book_runs, check_books, free_port, run_client, run_once, wait_for

PLUGINS = BUILD / "tests/plugins"


class Run:
    """A daemon with a counter and a sink. Switches are files: run.switch("sink.fail")."""

    def __init__(self, daemon, spool="16MiB", batch=10, interval="20ms", queue=None, more="", sinks=("sink",), agent_interval="200ms",
                 inside=None):
        self.daemon, self.folder = daemon, daemon.folder
        self.spool, self.batch, self.interval, self.queue, self.more, self.sinks = spool, batch, interval, queue, more, sinks
        self.agent_interval, self.inside = agent_interval, inside  # inside: a Disk
        self.version = 0

    @property
    def text(self):
        options = (f", spool: {self.spool}" if self.spool else "") + (f", queue: {self.queue}" if self.queue else "")
        sinks = "".join(f"  - {{ plugin: sink, name: {name}, path: {self.folder}/{name}, version: {self.version}{options} }}\n"
                        for name in self.sinks)
        return (f"agent:\n  hostname: testhost\n  interval: {self.agent_interval}\n  state_dir: {self.folder}/state\n"
                f"  plugin_dir: [{BUILD}/plugins, {PLUGINS}]\nplugins:\n  - plugin: web\n    listen: [\"unix:{self.daemon.socket}\"]\n"
                f"  - {{ plugin: counter, path: {self.folder}/number, batch: {self.batch}, interval: {self.interval} }}\n{sinks}"
                "  - { plugin: stdout, name: books, format: json, metrics: [\"metric=~^(samples|output|spool)_\"] }\n" + self.more)

    def start(self):
        self.daemon.start(self.text, wrapper=self.inside.inside if self.inside else ())
        return self

    def restart(self):
        """Starts it again after it was stopped or killed."""
        return self.start()

    def kill(self):
        self.daemon.process.kill()

    def reload(self):
        self.version += 1
        self.daemon.configure(self.text)
        done = run_client(self.daemon, "reload")
        assert done.returncode == 0, done.stdout + done.stderr

    def switch(self, name, on=True):
        path = self.folder / name
        if on:
            path.touch()
        else:
            path.unlink(missing_ok=True)

    def hold(self):
        """Ends production; what has been produced by then, once a reading that was under way is over."""
        self.switch("number.hold")
        reads = self.daemon.instance("counter")["reads"]
        wait_for(lambda: self.daemon.instance("counter")["reads"] > reads + 1)
        return self.produced

    def go_on(self):
        self.switch("number.hold", on=False)
        before = self.produced
        wait_for(lambda: self.produced > before)

    @property
    def produced(self):
        return int((self.folder / "number").read_text())

    def arrived(self, sink="sink"):
        """Numbers with their times, in the order in which they arrived."""
        lines = (self.folder / sink).read_text().split("\n")[:-1]
        return [(int(float(value)), int(t)) for _, name, t, value in map(str.split, lines) if name == "counter_number"]

    def row(self, sink="sink"):
        return self.daemon.instance(sink)

    def wait_spooled(self, sink="sink"):
        """Until nothing that is not sent is in memory only."""
        return wait_for(lambda: (row := self.row(sink)) and row["spooled_bytes"] and row["queue"] == 0 and row["spooled_bytes"],
                        what="all that waits to be on disk")

    def wait_sent(self, sink="sink"):
        """Until nothing waits any more. Production must be held, but the agent's own samples go on."""
        return wait_for(lambda: self.row(sink)["spooled_bytes"] == 0 and {n for n, _ in self.arrived(sink)} >= {self.produced - 1}, 30,
                        what="everything to be sent")

    def check_all_arrived(self, sink="sink", again=0, first=0):
        """Every number once and in order, each batch at its own time. `again`: so many may have come twice."""
        arrived = self.arrived(sink)
        numbers = [n for n, _ in arrived]
        missing = set(range(first, self.produced)) - set(numbers)
        assert not missing, (len(missing), min(missing), max(missing))
        assert len(numbers) - len(set(numbers)) <= again
        last = {n: i for i, n in enumerate(numbers)}
        ordered = sorted(last, key=last.get)
        assert ordered == sorted(last), "out of order"
        times = {}
        for number, t in arrived:
            assert times.setdefault(number, t) == t, "a repeated sample has another time"
        by_batch = [times[n] for n in range(first, self.produced, self.batch)]
        assert by_batch == sorted(by_batch)
        assert len(set(by_batch)) == len(by_batch), "batches of one time"

    def book(self, metric, reason=None, sink="sink"):
        return book_runs(self.daemon)[-1].get((sink, metric, reason), 0)

    def last_book(self, metric, reason=None, sink="sink"):
        """As it is now: the run that is given is one that has begun after the call."""
        before = len(book_runs(self.daemon))
        wait_for(lambda: len(book_runs(self.daemon)) > before + 2)
        return self.book(metric, reason, sink)

    def check_books(self):
        """Every time that the agent has given account, until now."""
        self.last_book("")
        check_books(book_runs(self.daemon), self.sinks)

    def segments(self, sink="sink"):
        with contextlib.suppress(FileNotFoundError):
            return sorted((self.folder / "state/spool" / sink).iterdir())
        return []


@pytest.fixture
def make_run(daemon):
    return lambda **options: Run(daemon, **options)


@pytest.mark.sanitize
def test_fault_40_a_failing_output_gets_everything_later_in_order_and_delays_nobody(make_run):
    run = make_run(sinks=("sink", "other")).start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    run.wait_spooled()
    row = run.row()
    assert row["state"] == "down" and "told to fail" in row["reason"] and row["dropped"] == 0
    before = len(run.arrived("other"))
    wait_for(lambda: len(run.arrived("other")) > before + 200)  # nobody else is kept waiting
    assert run.row("other")["spooled_bytes"] == 0
    wait_for(lambda: run.book("spool_samples") > 300 and run.book("spool_oldest_age_seconds") > 1)
    shown = run_client(run.daemon, "status").stdout
    assert re.search(r"spool of sink: .* of 16 MiB, [\d,]+ samples, the oldest from .* ago; full in about ", shown), shown
    run.switch("sink.fail", on=False)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_all_arrived("other")
    assert not run.segments()
    run.check_books()
    assert "spool of" not in run_client(run.daemon, "status").stdout


@pytest.mark.sanitize
def test_fault_40_a_hanging_output_is_spooled_with_what_is_in_flight_and_stop_is_quick(make_run):
    run = make_run().start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.hang")
    run.wait_spooled()
    wait_for(lambda: run.book("spool_samples") > 300)
    run.switch("sink.hang", on=False)  # the batch that was in flight all the time ends as the spool's
    wait_for(lambda: run.row()["spooled_bytes"] == 0)
    run.switch("sink.hang")
    run.wait_spooled()
    began = time.monotonic()
    run.daemon.stop(deadline=6)
    assert time.monotonic() - began < 6 * SLOWER
    run.switch("sink.hang", on=False)
    run.restart()
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_books()
    assert run.book("samples_restored_total") > 300 > 0 == run.book("samples_dropped_total", "stopped")


def test_a_kill_of_the_agent_twice_in_an_outage_loses_nothing(make_run):
    run = make_run().start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    for _ in range(2):
        run.wait_spooled()
        run.hold()
        run.wait_spooled()
        run.kill()
        run.restart()
        assert "samples wait on disk and are sent first" in run.daemon.stderr
        run.go_on()
    run.switch("sink.fail", on=False)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_books()


def test_a_graphite_receiver_that_was_away_gets_everything_with_its_own_time(make_run):
    """The real output, over TCP: no receiver at first, a kill, then one."""
    port = free_port()
    run = make_run(sinks=(), more=f"  - {{ plugin: graphite, name: sink, address: \"127.0.0.1:{port}\", spool: 16MiB }}\n").start()
    run.daemon.wait_state("down", "connection refused", name="sink")
    run.wait_spooled()
    wait_for(lambda: run.book("spool_samples") > 300)
    run.hold()
    run.wait_spooled()
    run.kill()
    run.restart()
    run.go_on()
    run.hold()
    back = time.time()
    receiver = Receiver(at=port)
    try:
        wait_for(lambda: run.row()["spooled_bytes"] == 0, 40)
        said = [line.split() for line in wait_for(receiver.lines) if ".counter_number." in line]
    finally:
        receiver.close()
    assert [int(value) for _, value, _ in said] == list(range(run.produced))
    assert all(int(seconds) <= back for _, _, seconds in said)
    assert int(said[0][2]) < int(said[-1][2])
    run.sinks = ("sink",)
    run.check_books()


def test_what_a_stop_finds_unsent_is_sent_by_the_next_start(make_run):
    run = make_run().start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    for _ in range(3):
        wait_for(lambda: run.row()["spooled_bytes"])
        run.daemon.stop()
        run.restart()
    run.switch("sink.fail", on=False)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_books()


@pytest.mark.parametrize("spool", ["16MiB", None])
@pytest.mark.parametrize("fails", [False, True])
def test_reloads_that_restart_an_output_lose_nothing(make_run, spool, fails):
    """With a spool and without, in an outage or not. Samples that come while it restarts reach the new one."""
    run = make_run(spool=spool, interval="10ms").start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail", on=fails)
    for _ in range(5):
        run.reload()
        wait_for(lambda: run.row()["state"] in ("up", "down"))
    if spool and fails:
        run.wait_spooled()
    run.switch("sink.fail", on=False)
    run.hold()
    if spool:
        run.wait_sent()
    wait_for(lambda: {n for n, _ in run.arrived()} >= {run.produced - 1})
    run.check_all_arrived()
    run.check_books()
    assert run.row()["dropped"] == 0


def test_an_output_that_comes_back_after_a_removal_sends_what_it_had_left(make_run):
    run = make_run().start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    run.wait_spooled()
    last = run.hold()
    run.wait_spooled()
    run.sinks = ()
    run.reload()
    wait_for(lambda: run.row() is None)
    assert run.segments()
    wait_for(lambda: re.search(r"\[sink\] spool: \d+ samples stay on disk", run.daemon.stderr))
    run.go_on()
    run.switch("sink.fail", on=False)
    run.sinks = ("sink",)
    run.reload()
    wait_for(lambda: {n for n, _ in run.arrived()} >= {last - 1})
    assert [n for n, _ in run.arrived()][:last] == list(range(last))
    assert wait_for(run.row)["dropped"] == 0


def test_an_output_that_cannot_start_keeps_what_comes(make_run):
    run = make_run()
    run.switch("sink.nostart")
    run.start()
    run.wait_spooled()
    wait_for(lambda: run.book("spool_samples") > 200)
    run.switch("sink.nostart", on=False)
    wait_for(lambda: run.row()["state"] == "up", 40)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_books()


def test_a_full_spool_drops_the_oldest_and_counts_them_exactly(make_run):
    run = make_run(spool="1MiB", batch=1000).start()
    run.switch("sink.fail")
    wait_for(lambda: run.book("samples_dropped_total", "spool_full") > 20000, 40)
    run.daemon.wait_state("down", "the spool is full, the oldest samples are dropped since", name="sink")
    run.hold()
    run.wait_spooled()
    assert run.row()["spooled_bytes"] <= 1024 * 1024 >= sum(f.stat().st_size for f in run.segments())
    run.switch("sink.fail", on=False)
    run.wait_sent()
    missing = sorted(set(range(run.produced)) - {n for n, _ in run.arrived()})
    assert missing[-1] - missing[0] + 1 == len(missing) > 10000, "it is not the oldest that went"
    dropped = run.last_book("samples_dropped_total", "spool_full")
    run.check_books()
    assert 0 <= dropped - len(missing) < dropped / 20  # the agent's own samples
    run.daemon.stop()
    said = re.search(r"\[sink\] (\d+) samples, the oldest, were dropped between \S+Z and \S+Z: the spool is full", run.daemon.stderr)
    assert said and int(said[1]) == dropped


def test_fault_41_a_full_queue_is_said_with_its_time_and_the_count_is_exact(make_run):
    run = make_run(spool=None, queue=500).start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    run.daemon.wait_state("down", "the queue is full, the oldest samples are dropped since", name="sink")
    wait_for(lambda: run.row()["dropped"] > 500)
    run.hold()
    run.switch("sink.fail", on=False)
    wait_for(lambda: run.row()["queue"] < 100 and {n for n, _ in run.arrived()} >= {run.produced - 1})
    dropped = run.last_book("samples_dropped_total", "queue_full")
    run.check_books()
    missing = run.produced - len(run.arrived())
    assert dropped >= missing > 0
    numbers = [n for n, _ in run.arrived()]
    assert numbers == sorted(set(numbers))
    run.daemon.stop()
    said = re.search(r"\[sink\] (\d+) samples, the oldest, were dropped between \S+Z and \S+Z: the queue is full", run.daemon.stderr)
    assert said and int(said[1]) == dropped


def test_a_damaged_spool_costs_what_is_damaged_and_is_said(make_run):
    run = make_run(spool="1MiB", batch=200).start()
    run.switch("sink.fail")
    wait_for(lambda: len(run.segments()) > 3)
    run.hold()
    run.wait_spooled()
    run.daemon.stop()
    files = run.segments()
    with open(files[1], "r+b") as f:  # in the middle of it
        f.seek(20000)
        f.write(b"\xff" * 64)
    files[2].write_bytes(b"nothing of ours")
    os.truncate(files[-1], files[-1].stat().st_size - 7)
    run.switch("sink.fail", on=False)
    run.restart()
    wait_for(lambda: run.row()["spooled_bytes"] == 0)
    lost = run.last_book("samples_dropped_total", "spool_corrupt")
    run.check_books()
    missing = run.produced - len({n for n, _ in run.arrived()})
    assert 0 < missing <= lost
    assert re.search(r"\[sink\] spool: file \S+ was damaged from byte \d+ on: \d+ samples of it are lost", run.daemon.stderr)
    events = wait_for(lambda: run.daemon.rows("events", where=["kind=note", "subject=sink"]))
    assert any("damaged" in e["text"] for e in events)
    before = len(run.arrived())
    run.go_on()
    wait_for(lambda: len(run.arrived()) > before + 100)


def test_a_spool_that_no_output_sends_is_pointed_out_at_the_start(make_run):
    run = make_run().start()
    run.switch("sink.fail")
    run.wait_spooled()
    run.daemon.stop()
    run.sinks = ("other",)
    run.restart()
    wait_for(lambda: re.search(r"state/spool/sink holds \d+ bytes of samples, and no output of this name has a `spool`", run.daemon.stderr))
    assert "spool/other holds" not in run.daemon.stderr


# ---- a disk that does not take it ----


def test_a_file_in_place_of_the_folder_is_said_and_tried_again(make_run):
    run = make_run(queue=100000)
    (run.folder / "state").mkdir(mode=0o750)
    (run.folder / "state/spool").touch()
    run.switch("sink.fail")
    run.start()
    run.daemon.wait_state("down", "the spool cannot be opened: Not a directory", name="sink")
    (run.folder / "state/spool").unlink()
    run.wait_spooled()
    run.switch("sink.fail", on=False)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.check_books()
    run.daemon.wait_state("up", name="sink")


def test_without_a_state_dir_the_output_works_and_says_that_it_has_no_spool(make_run):
    run = make_run()
    (run.folder / "state").touch()
    run.start()
    run.daemon.wait_state("degraded", "no spool: set `agent: state_dir:`", name="sink")
    wait_for(lambda: len(run.arrived()) > 100)


def test_a_full_disk_leaves_the_queue_in_memory_and_is_used_again_when_it_has_room(make_run, make_disk):
    run = make_run(batch=100, inside=make_disk(make_run().folder / "state/spool", "400k")).start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    run.daemon.wait_state("down", "the spool cannot be written: No space left on device", name="sink")
    wait_for(lambda: run.row()["queue"] > 1000)
    before = len(run.arrived())
    run.switch("sink.fail", on=False)  # order holds: first what is on disk, then what is in memory
    wait_for(lambda: len(run.arrived()) > before + 5000)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    run.daemon.wait_state("up", name="sink")
    run.check_books()
    assert run.row()["dropped"] == 0


def test_a_disk_that_is_read_only_does_not_stop_the_sending(make_run, make_disk):
    disk = make_disk(make_run().folder / "state/spool", "10m")
    run = make_run(inside=disk).start()
    wait_for(lambda: len(run.arrived()) > 50)
    run.switch("sink.fail")
    run.wait_spooled()
    run.daemon.stop()
    disk.remount("ro")
    run.restart()
    run.daemon.wait_state("down", "the spool cannot be written: Read-only file system", name="sink")
    run.switch("sink.fail", on=False)
    run.hold()
    run.wait_sent()
    run.check_all_arrived()
    assert "cannot note what has been sent: Read-only file system; after a restart it is sent again" in run.daemon.stderr
    run.check_books()
    run.daemon.wait_state("up", name="sink")


# ---- the configuration ----


@pytest.mark.parametrize("spool,state_dir,code,words", [
    ("100KiB", True, 78, "allowed is 1MiB to 1TiB"),
    ("many", True, 78, "spool"),
    ("1MiB", True, 0, ""),
    ("1MiB", False, 0, "`spool` needs `agent: state_dir:`"),
])
def test_a_spool_is_checked(daemon, spool, state_dir, code, words):
    run = Run(daemon, spool=spool)
    text = run.text if state_dir else re.sub(r"  state_dir: .*\n", "", run.text)
    done = run_once(run.folder, text, "-t")
    assert done.returncode == code and words in done.stderr, done.stderr


def test_the_name_of_the_spools_folder_is_reserved(daemon):
    run = Run(daemon, sinks=("spool",))
    done = run_once(run.folder, run.text, "-t")
    assert done.returncode == 78 and "the name `spool` is reserved" in done.stderr


# ---- for a long time ----


@pytest.mark.large
def test_fault_40_ten_minutes_of_outage_at_a_thousand_a_second_with_two_kills(make_run):
    """CALLWATCH_LARGE seconds; a few for every change. What a kill may cost is what had not reached the disk: less than a second."""
    seconds = LARGE or 6
    run = make_run(spool="64MiB", batch=10, interval="10ms", agent_interval="1s").start()
    wait_for(lambda: len(run.arrived()) > 500)
    run.switch("sink.fail")
    run.wait_spooled()
    rss, produced_at_kill = run.daemon.process.rss_kib(), []
    for part in range(3):
        if part == 1:
            run.switch("sink.hang")
        end = time.monotonic() + seconds / 3
        while time.monotonic() < end:
            time.sleep(min(1, seconds / 6))
            assert run.row()["dropped"] == 0
            assert run.row()["queue"] < 5000
            assert run.daemon.process.rss_kib() < rss + 16 * 1024 * SLOWER, "memory grows"
        if part < 2:
            run.wait_spooled()
            produced_at_kill.append(run.produced)
            run.kill()
            run.restart()
    run.switch("sink.hang", on=False)
    run.switch("sink.fail", on=False)
    wait_for(lambda: run.row()["spooled_bytes"] == 0, 120)
    run.hold()
    wait_for(lambda: {n for n, _ in run.arrived()} >= {run.produced - 1}, 60)
    numbers = [n for n, _ in run.arrived()]
    missing = set(range(run.produced)) - set(numbers)
    for n in missing:
        assert any(0 <= killed + 200 - n <= 1200 for killed in produced_at_kill), (n, produced_at_kill)
    assert len(numbers) - len(set(numbers)) <= 2 * run.batch
    assert numbers == sorted(numbers)
    run.check_books()
    print(f"{run.produced} produced, {len(missing)} lost by two kills, {len(numbers) - len(set(numbers))} came twice")
    run.daemon.stop()
