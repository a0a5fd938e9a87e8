# SPDX-License-Identifier: MIT
"""Notifications across kill -9, anywhere: none is lost, and one kill costs at most one duplicate per notifier, of the same id and marked as doubtful.

What is true is a file (plugin board), what was told is two others (plugins herald and herald-digests), so all three outlive the agent. A thing that is
broken stays so until both notifiers have been told, and is mended until both have been told that: whatever is lost on the way keeps the test waiting for it.
"""

import datetime
import json
import os
import random
import re
import shutil
import signal
import time

import pytest

from harness import BUILD, LARGE, Process, wait_for

NOTIFIERS = ("herald", "digests")
CONFIG = """
agent:
  hostname: box
  state_dir: {folder}/state
  plugin_dir: [{build}/plugins, {build}/tests/plugins]
plugins:
  - {{ plugin: board, path: {folder}/board, interval: 100ms }}
  - {{ plugin: herald, path: {folder}/herald.told, script: {folder}/script }}
  - {{ plugin: herald-digests, name: digests, path: {folder}/digests.told }}
  - {{ plugin: web, listen: ["unix:{socket}"] }}
notify: {{ group_wait: 0s, group_interval: 1s }}
rules:
  - {{ name: broken, table: board, where: [state=broken], group_by: [place], summary: "{{{{ id }}}} is broken" }}
"""


class World:
    """The board, and what was told of it."""

    def __init__(self, daemon, places, things):
        self.daemon, self.folder = daemon, daemon.folder
        self.is_broken = {f"{place}-{thing}": False for place in range(places) for thing in range(things)}
        self.started = 0
        self.episodes = 0
        self.write()

    def write(self):
        text = "".join(f"{thing} place-{thing.split('-')[0]} {'broken' if broken else 'fine'}\n" for thing, broken in self.is_broken.items())
        new = self.folder / "board.new"
        new.write_text(text)
        new.rename(self.folder / "board")

    def start(self):
        self.started += 1
        self.daemon.start(CONFIG.format(folder=self.folder, build=BUILD, socket=self.daemon.socket))

    def told(self, notifier):
        """A line that is being written when the process dies is there or not: it is one write()."""
        path = self.folder / f"{notifier}.told"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def known(self, notifier):
        """What somebody who has read all of it believes: subject → does it fire?"""
        return {subject: firing for notice in self.told(notifier) for subject, firing in notice["alerts"]}

    def is_known(self, thing, known):
        return all(k.get(thing, False) == self.is_broken[thing] for k in known)

    def go_on(self, chance, things=None):
        """Changes some of the things of which everybody knows how they are."""
        known = [self.known(notifier) for notifier in NOTIFIERS]
        for thing in things or self.is_broken:
            if self.is_known(thing, known) and random.random() < chance:
                self.is_broken[thing] = not self.is_broken[thing]
                self.episodes += self.is_broken[thing]
        self.write()

    def drive(self, seconds):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.go_on(chance=0.3)
            time.sleep(0.02)

    def is_all_known(self):
        known = [self.known(notifier) for notifier in NOTIFIERS]
        return all(self.is_known(thing, known) for thing in self.is_broken)

    def is_settled(self):
        return not [row for row in self.daemon.rows("notifications") if row["state"] not in ("sent", "dead")]

    def settle(self):
        """All is mended, and everybody knows."""
        wait_for(self.is_all_known, 30, what="all that is broken to be told")
        self.is_broken = dict.fromkeys(self.is_broken, False)
        self.write()
        wait_for(self.is_all_known, 30, what="all that was mended to be told")
        wait_for(self.is_settled, 15, what="all notifications to be settled")

    def check(self, kills):
        for notifier in NOTIFIERS:
            self.check_notifier(notifier, kills)
        assert {row["state"] for row in self.daemon.rows("notifications")} == {"sent"}

    def check_notifier(self, notifier, kills):
        first, batches = {}, set()
        for notice in self.told(notifier):
            if notice["id"] not in first:
                first[notice["id"]] = notice
                continue
            once = first[notice["id"]]
            assert [notice[k] for k in ("incident", "sequence", "title", "alerts")] == [once[k] for k in ("incident", "sequence", "title", "alerts")]
            assert notice["doubtful"] == 1, notice
            batches.add(notice["now_ms"] if notice["of"] > 1 else (notice["id"], notice["attempt"]))
        assert len(batches) <= kills, f"{notifier}: {len(batches)} duplicates after {kills} kills"
        sequences = {}
        for notice in first.values():
            sequences.setdefault(notice["incident"], []).append(notice["sequence"])
        for incident, numbers in sequences.items():
            assert numbers == list(range(1, len(numbers) + 1)), (notifier, incident, numbers)


@pytest.fixture
def world(make_daemon):
    return World(make_daemon(), places=6, things=3)


@pytest.mark.large
def test_fault_49_kill_at_any_point(world):
    """At random points under load; in the large form 300 times."""
    kills = 300 if LARGE else 12
    for _ in range(kills):
        world.start()
        world.drive(random.uniform(0, 1.2))
        world.daemon.process.kill()
    world.start()
    world.settle()
    world.check(kills)
    assert world.episodes >= kills
    world.daemon.stop()


def test_retry_after_outlives_a_kill(world):
    """A receiver that wants nothing for a while gets nothing, of any group, though the agent that was told so is no more."""
    (world.folder / "script").write_text("hold 2500\nok\n")
    world.start()
    world.is_broken["0-0"] = True
    world.write()
    held = wait_for(lambda: [r for r in world.daemon.rows("notifications") if r["reason"] == "429 Too Many Requests"], what="the receiver to say wait")[0]
    until = datetime.datetime.fromisoformat(held["next_try"].replace("Z", "+00:00")).timestamp()
    world.daemon.process.kill()
    world.is_broken["1-0"] = True
    world.write()
    world.start()
    wait_for(world.is_all_known, 15)
    # The other notifier has told it; whether that was written down before the kill is chance.
    assert re.search(r"resumed [12] notifications", world.daemon.stderr), world.daemon.stderr
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    assert all(notice["now_ms"] / 1000 + started > until - 0.1 for notice in world.told("herald")), (until, world.told("herald"))
    world.settle()
    world.check(kills=0)
    world.daemon.stop()


@pytest.mark.sanitize
def test_a_clean_end_repeats_nothing(world):
    """Under the same load: what is in flight is given the time to arrive, and what became of it is written down."""
    (world.folder / "script").write_text("later 150\n")
    for _ in range(5):
        world.start()
        world.drive(random.uniform(0.2, 1))
        world.daemon.stop()
    world.start()
    world.settle()
    world.check(kills=0)
    world.daemon.stop()


def test_the_action_test_waits_until_the_receiver_has_it(world):
    """It goes the way of all notices, to this notifier alone; what the receiver says is the reason."""
    world.start()
    status, body = world.daemon.request("POST", "/api/v1/actions/herald/test")
    assert status == 202, body
    task = json.loads(body)["task_id"]

    def ended(task=task):
        found = world.daemon.get(f"/api/v1/tasks/{task}")["task"]
        return found if found["state"] not in ("queued", "running") else None
    assert wait_for(ended, 15)["state"] == "success"
    assert [(n["kind"], n["rule"]) for n in world.told("herald")] == [("test", "test")] and not world.told("digests")
    (world.folder / "script").write_text("refused\n")
    task = json.loads(world.daemon.request("POST", "/api/v1/actions/herald/test")[1])["task_id"]
    found = wait_for(lambda: ended(task), 15)
    assert (found["state"], found["reason"]) == ("error", "404 no_such_channel")
    world.daemon.stop()


# -- at each system call that writes -----------------------------------------------------------------------------------

# Of the journal's thread: pwrite64, fdatasync, ftruncate; of the notifiers' (and of mailboxes, and the log): write; of the web's: sendto.
CALLS = ("pwrite64", "fdatasync", "write", "sendto", "sendmsg", "rename", "ftruncate", "unlink")


def attach(world, call, nth):
    """From now on the nth such system call of a thread kills the process before it is made."""
    tracer = Process(world.folder, "strace", ["strace", "-f", "-qq", "-o", world.folder / "trace", "-e", f"trace={call}",
                                              "-e", f"inject={call}:signal=SIGKILL:when={nth}", "-p", world.daemon.pid])
    tasks = f"/proc/{world.daemon.pid}/task"

    def is_attached():
        assert tracer.running, tracer.stderr
        return not world.daemon.process.running or all("TracerPid:\t0\n" not in open(f"{tasks}/{t}/status").read() for t in os.listdir(tasks))
    wait_for(is_attached, what="strace to be attached")
    return tracer


def kill_at(world, call, nth):
    """One thing breaks while death waits at the nth `call`; has it come?"""
    thing = random.choice(list(world.is_broken))
    world.start()
    wait_for(lambda: world.is_all_known() and world.is_settled(), 15, what="what was before to be settled")
    tracer = attach(world, call, nth)
    world.is_broken[thing] = not world.is_broken[thing]
    world.write()

    def is_over():
        return not world.daemon.process.running or (world.is_all_known() and world.is_settled())
    wait_for(is_over, 15, what=f"the end of {call} {nth}")
    has_come = not world.daemon.process.running
    if not has_come:
        world.daemon.process.kill()
    tracer.end(signal.SIGTERM)
    return has_come


def needs_strace():
    if shutil.which("strace") is None:
        pytest.skip("needs strace")


def test_fault_49_kill_at_a_call_that_writes(world):
    """Some of them; each is certain to be on the way of a notice."""
    needs_strace()
    points = [("pwrite64", random.randint(1, 4)), ("fdatasync", 1), ("fdatasync", random.randint(2, 3)), ("write", random.randint(1, 6))]
    for call, nth in points:
        assert kill_at(world, call, nth), (call, nth)
    world.start()
    world.settle()
    world.check(kills=len(points))
    world.daemon.stop()


@pytest.mark.large
@pytest.mark.skipif(not LARGE, reason="with CALLWATCH_LARGE")
@pytest.mark.parametrize("call", CALLS)
def test_fault_49_kill_at_each_call_that_writes(world, call):
    """Every one, until the way is done before the nth comes (of write() there is no end: threads wake each other by it)."""
    needs_strace()
    kills = next((nth for nth in range(1, 41) if not kill_at(world, call, nth)), 40)
    print(f"{call}: {kills}")
    world.start()
    world.settle()
    world.check(kills)
    world.daemon.stop()
