# SPDX-License-Identifier: MIT
"""A disk that is full, read-only, failing, damaged or kept locked: alerts still go out, the state is loud, and all of it is written when it can be.
The journal alone: tests/unit/test_journal.c, test_salvage.c (each page, each 512 bytes), test_power_cut.c (fault 50)."""

import contextlib
import os
import random
import shutil
import sqlite3
import sys

import pytest

from harness import BUILD, LARGE, wait_for
from test_actions import act, end_of
from notifying import Levels
from test_alerts import Herald


RULES = """
notify:
  group_wait: 500ms
  group_interval: 1s
  repeat_interval: 1h
rules:
  - name: task-done
    table: tasks
    where: [state=success]
    summary: "{{ task_id }} is done"
"""


class World:
    """A daemon with a rule that fires for each task that is done, and a notifier whose file is on another disk."""

    def __init__(self, daemon, disk=None):
        self.daemon, self.disk, self.herald = daemon, disk, Herald(daemon)
        self.state = daemon.folder / "state"
        self.made = []

    def start(self, **how):
        daemon = self.daemon
        wrapper = how.pop("wrapper", self.disk.inside if self.disk else ())
        daemon.start(f"agent:\n  hostname: testhost\n  state_dir: {self.state}\n  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n"
                     f"  - {{ plugin: worker, name: work }}\n  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n  {self.herald.entry}\n" + RULES,
                     wrapper=wrapper, **how)

    def alert(self):
        """One that fires, and is told."""
        task = act(self.daemon, "finish", {"keys": ["job-00001"]})[1]["task_id"]
        end_of(self.daemon, task)
        wait_for(lambda: task in self.told(), 30, what=f"a notice about {task}")
        self.made.append(task)
        return task

    def told(self):
        """Subjects of which a notice said that they fire."""
        return str(self.herald.notices("task-done"))

    def said(self, text):
        return self.daemon.stderr.count(text)

    def ask(self, select, name="journal.db"):
        look = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute(sys.argv[2]).fetchall())"
        run = self.disk.run if self.disk else lambda *argv: __import__("subprocess").run(list(map(str, argv)), check=True, capture_output=True, text=True).stdout
        return eval(run(sys.executable, "-c", look, self.state / name, select))

    def all_written(self):
        return {subject for (subject,) in self.ask("select subject from alert")} >= set(self.made)

    def wait_written(self):
        wait_for(self.all_written, 30, what="all alerts in the journal")
        assert self.ask("pragma integrity_check") == [("ok",)]


def test_fault_44_alerts_go_out_while_the_disk_is_full_and_are_written_when_there_is_room(daemon, make_disk):
    world = World(daemon)
    world.disk = make_disk(world.state, "24m")
    world.start()
    world.alert()
    for left in ([0, 4, 64] if not LARGE else [0, 0, 1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 512, 1024]):
        troubles, ends = world.said("kept in memory only, and a crash would forget it"), world.said("journal.db is written again; 0 entries were lost")
        world.disk.run("sh", "-c", f"cat /dev/zero >{world.state}/filler 2>/dev/null; truncate -s -{left}k {world.state}/filler")
        for _ in range(3):
            world.alert()
        world.disk.run("rm", world.state / "filler")
        if world.said("kept in memory only, and a crash would forget it") > troubles:
            wait_for(lambda: world.said("journal.db is written again; 0 entries were lost") > ends, 30)
        world.wait_written()
    assert world.said("kept in memory only, and a crash would forget it") > 0
    assert not world.disk.run("sh", "-c", f"ls {world.state} | grep corrupt || true")


def test_fault_44_a_journal_that_has_no_room_at_the_start_is_read_when_there_is_some(daemon, client, make_disk):
    world = World(daemon)
    world.disk = make_disk(world.state, "24m")
    world.start()
    task = world.alert()
    client("silence", "add", "alertname=other", "-d", "1h", "-c", "known")
    world.wait_written()
    daemon.stop()  # what it needs beside the file is not there any more
    world.disk.run("sh", "-c", f"cat /dev/zero >{world.state}/filler 2>/dev/null; true")
    world.start()
    wait_for(lambda: "kept in memory only, and a crash would forget it" in daemon.stderr, 20)
    assert daemon.rows("alerts") == daemon.rows("silences") == []
    world.disk.run("rm", world.state / "filler")
    wait_for(lambda: [(row["subject"], row["state"]) for row in daemon.rows("alerts")] == [(task, "firing")], 30)
    assert [row["comment"] for row in daemon.rows("silences")] == ["known"]
    assert [row["task_id"] for row in daemon.rows("tasks")] == [task]
    world.alert()
    first, second = world.herald.notices("task-done")
    assert first["incident"] == second["incident"], "it goes on with what it was told as"


def test_fault_45_alerts_go_out_on_a_disk_that_becomes_read_only(daemon, make_disk):
    world = World(daemon)
    world.disk = make_disk(world.state, "24m")
    world.start()
    world.alert()
    try:
        world.disk.remount("ro")
    except Exception as e:  # noqa: BLE001: a file that is open for writing
        pytest.skip(f"it cannot be made read-only here: {e}")
    world.alert()
    world.disk.remount("rw")
    world.wait_written()


def test_fault_45_alerts_go_out_without_a_place_to_write(daemon, make_disk):
    world = World(daemon)
    world.disk = make_disk(world.state, "24m")
    world.disk.remount("ro")
    world.start()
    world.alert()
    world.disk.remount("rw")
    world.alert()
    assert daemon.process.running


def test_fault_46_a_sync_that_fails_once_is_taken_for_a_loss_and_written_again(make_daemon):
    if shutil.which("strace") is None:
        pytest.skip("there is no strace here")
    for when in (range(2, 14) if LARGE else (3, 8)):
        daemon = make_daemon(f"daemon{when}")
        world = World(daemon)
        world.state = daemon.folder / f"state{when}"
        world.herald = Herald(daemon, f"herald{when}")
        trace = daemon.folder / f"strace{when}"
        world.start(wrapper=["strace", "-D", "-f", "-qq", "-y", "-o", trace, "-e", "trace=fdatasync", "-e", "signal=none",
                             "-e", f"inject=fdatasync:error=EIO:when={when}"])
        for _ in range(20):
            world.alert()
            failed = [line for line in trace.read_text().split("\n") if "INJECTED" in line]
            if any("journal.db" in line for line in failed):
                break
        world.alert()
        if any("journal.db" in line for line in failed):  # and not of the folder alone, which SQLite does not mind
            wait_for(lambda: world.said("kept in memory only, and a crash would forget it") == 1)
            wait_for(lambda: world.said("journal.db is written again; 0 entries were lost") == 1, 30)
        assert failed
        world.wait_written()
        daemon.stop()


def flip(path, page, size=4096):
    with open(path, "r+b") as file:
        file.seek(page * size)
        data = file.read(size)
        file.seek(page * size)
        file.write(bytes(0xff ^ byte for byte in data))


def test_fault_47_damaged_journal_costs_no_alert_and_no_start(daemon):
    world = World(daemon)
    world.start()
    for _ in range(3):
        world.alert()
    world.wait_written()
    for damage in range(12 if LARGE else 3):
        daemon.process.kill()
        world.ask("pragma wal_checkpoint(truncate)")
        path = world.state / "journal.db"
        pages = path.stat().st_size // 4096
        if damage % 3 == 2:
            os.truncate(path, random.Random(damage).randrange(0, path.stat().st_size, 512))
        else:
            flip(path, random.Random(damage).randrange(0, pages))
        damaged = world.said("is damaged")
        world.start()
        world.made = []
        world.alert()
        world.wait_written()
        assert world.said("is damaged") <= damaged + 1, daemon.stderr


def test_fault_47_alerts_of_a_damaged_journal_are_salvaged(daemon):
    """A page of another table is damaged: what fires is known, and is not told again."""
    world = World(daemon)
    world.start()
    world.alert()
    world.wait_written()
    daemon.process.kill()
    world.ask("pragma wal_checkpoint(truncate)")
    [(root,)] = world.ask("select rootpage from sqlite_master where name = 'silence'")
    flip(world.state / "journal.db", root - 1)
    world.start()
    wait_for(lambda: "salvaged: " in daemon.stderr and " of alert" in daemon.stderr)
    firing = wait_for(lambda: [row for row in daemon.rows("alerts", where=["alert=task-done"]) if row["state"] == "firing"], 20)
    assert [row["subject"] for row in firing] == world.made
    world.alert()
    assert len({notice["incident"] for notice in world.herald.notices()}) == 1, "it goes on with what it was told as"


def test_fault_48_alerts_go_out_while_another_program_keeps_the_journal_locked(daemon):
    world = World(daemon)
    world.start()
    world.alert()
    world.wait_written()
    other = sqlite3.connect(f"file:{world.state}/journal.db", uri=True, isolation_level=None)
    other.execute("begin exclusive")
    world.alert()
    wait_for(lambda: world.said("another program keeps it locked") == 1, 30)
    other.execute("rollback")
    other.close()
    wait_for(lambda: world.said("journal.db is written again; 0 entries were lost") == 1, 30)
    world.wait_written()
    assert not list(world.state.glob("*corrupt*"))


def lock_whole(path):
    """Nobody else may even read it, from before its daemon starts."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("pragma locking_mode=exclusive")
    other.execute("begin exclusive")
    return other


class LevelsOnDisk:
    """Gauges with a rule each, and notices to a file: what fires fires again in each life, whatever the journal says."""

    def __init__(self, daemon, n):
        self.daemon, self.herald, self.levels = daemon, Herald(daemon), Levels(daemon, n)
        self.state, self.script = daemon.folder / "state", daemon.folder / "script"
        self.script.write_text("ok\n")
        text = self.levels.config(daemon, f"  {self.herald.entry[:-2]}, script: {self.script} }}\n", notify="group_wait: 300ms, group_interval: 1s, repeat_interval: 1h")
        self.config = text.replace(f"plugin_dir: [{BUILD}/plugins]", f"plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]")

    def start(self):
        self.daemon.start(self.config)

    def firing(self):
        return {row["alert"]: row for row in self.daemon.rows("alerts") if row["state"] == "firing"}

    def written(self, *told):
        with contextlib.closing(sqlite3.connect(self.state / "journal.db")) as db:
            rows = db.execute("select rule, id from alert where state = 1 and told = 1").fetchall()
        return dict(rows) if sorted(rule for rule, _ in rows) == sorted(told) else None

    def first(self, rule):
        return [notice for notice in self.herald.notices(rule) if notice["kind"] == "firing"]


def test_fault_48_a_journal_that_is_locked_for_a_moment_at_the_start_is_read_when_it_can_be(daemon, client):
    world = LevelsOnDisk(daemon, 3)
    world.start()
    world.levels.fire(0)
    wait_for(lambda: world.written("high-0"), 20)
    client("silence", "add", "alertname=high-1", "-d", "1h", "-c", "known")
    client("ack", "high-0", "-m", "on it")
    world.script.write_text("again\n")
    world.levels.fire(2)
    wait_for(lambda: world.written("high-0", "high-2"), 20)
    daemon.process.kill()
    world.script.write_text("ok\n")
    other = lock_whole(world.state / "journal.db")
    world.levels.fire(1)
    world.start()
    wait_for(lambda: "is kept locked by another program" in daemon.stderr, 20)
    assert world.firing() == {}, "nothing is judged by who does not know what was before"
    other.close()
    firing = wait_for(lambda: len(world.firing()) == 3 and world.firing(), 20)
    assert "cannot be read yet" not in daemon.stderr
    assert firing["high-0"]["acked_by"] and firing["high-1"]["silenced_by"]
    wait_for(lambda: world.first("high-2"), 30, what="the notice that waited")
    world.levels.end(0)
    wait_for(lambda: world.herald.notices("high-0")[-1]["kind"] == "resolved", 20)
    assert len(world.first("high-0")) == len(world.first("high-2")) == 1 and world.herald.notices("high-1") == []
    assert len({notice["incident"] for notice in world.herald.notices("high-0")}) == 1


def test_fault_48_what_a_journal_knew_that_can_be_read_late_only_is_taken_over(daemon, client):
    world = LevelsOnDisk(daemon, 2)
    world.start()
    world.levels.fire(0)
    ids = wait_for(lambda: world.written("high-0"), 20)
    before = world.firing()["high-0"]
    client("silence", "add", "alertname=high-1", "-d", "1h", "-c", "known")
    daemon.process.kill()
    other = lock_whole(world.state / "journal.db")
    world.start()
    wait_for(lambda: len(world.first("high-0")) == 2, 30, what="it is told again by who cannot know that it was told")
    assert "the journal cannot be read yet" in daemon.stderr
    assert world.firing()["high-0"]["firing_since"] != before["firing_since"]
    other.close()
    wait_for(lambda: world.firing()["high-0"]["firing_since"] == before["firing_since"], 20)
    assert wait_for(lambda: world.written("high-0"), 20) == ids, "the alert of this life has made way"
    assert [row["comment"] for row in daemon.rows("silences")] == ["known"]
    world.levels.fire(1)
    wait_for(lambda: "high-1" in world.firing() and world.firing()["high-1"]["silenced_by"], 20)
    world.levels.end(0)
    wait_for(lambda: world.herald.notices("high-0")[-1]["kind"] == "resolved", 20)
    assert len(world.first("high-0")) == 2 and world.herald.notices("high-1") == []


def test_what_ended_is_shown_for_an_hour_from_its_end_also_after_a_restart(daemon):
    world = LevelsOnDisk(daemon, 2)
    world.start()
    world.levels.fire(0, 1)
    wait_for(lambda: world.written("high-0", "high-1"), 20)
    world.levels.end(0, 1)
    wait_for(lambda: {notice["rule"] for notice in world.herald.notices() if notice["kind"] == "resolved"} == {"high-0", "high-1"}, 20)
    wait_for(lambda: world.written() == {}, 20)
    daemon.process.kill()
    with contextlib.closing(sqlite3.connect(world.state / "journal.db")) as db:
        db.execute("update alert set resolved_at = resolved_at - 59 * 60 * 1000000000 where rule = 'high-0'")
        db.execute("update alert set resolved_at = resolved_at - 61 * 60 * 1000000000 where rule = 'high-1'")
        db.commit()
    world.start()
    wait_for(lambda: [row["alert"] for row in daemon.rows("alerts") if row["state"] == "resolved"] == ["high-0"], 20)
