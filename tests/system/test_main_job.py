# SPDX-License-Identifier: MIT
"""The main job on real input: the table equals what an independent reader finds in Redis, and stays equal while calls come and go."""

import csv
import io
import json
import os
import shutil
import stat
import subprocess
import time

import pytest

import harness
import oracle
from harness import config, run_once, wait_for

EXTRA = "extra_fields: { worker: worker_id }"


def wait_complete(daemon, n=None, deadline=30):
    """Until the first sweep is through (and n calls are seen)."""

    def complete():
        answer = daemon.table("calls", limit=1)
        return answer["complete"] and (n is None or answer["total"] == n)

    return wait_for(complete, deadline, what=f"a complete table of {n} calls")


def assert_equal(wrong):
    assert not wrong, f"{len(wrong)} differences:\n" + "\n".join(wrong[:20])


@pytest.mark.large
@pytest.mark.sanitize
@pytest.mark.parametrize("way", ["unix", "tcp", "events"])
def test_the_table_equals_the_oracle(redis, make_sim, daemon, way):
    if way == "events":
        redis.client.config_set("notify-keyspace-events", "KA")
    calls, odd = (100000, 1000) if harness.LARGE else (2000, 146)
    make_sim(redis.url, "--calls", calls, "--malformed", odd, "--warning", 10, "--stale", 10, "--no-heartbeat", 3, "--load-only")
    since = time.time()
    daemon.start(config(daemon, redis.tcp_url if way == "tcp" else redis.url, calls=EXTRA, agent="phones: full" if way == "tcp" else ""))
    wait_complete(daemon)
    assert_equal(oracle.compare(daemon, redis.client, since, extra={"worker": "worker_id"}, phones_full=way == "tcp"))
    daemon.wait_malformed(51, 10 * odd)


class Watcher:
    """Polls Redis and the table during churn, and collects what is wrong.

    The table says since when all of its rows are confirmed (as_of): what began or ended before that must be right, however slow this machine is."""

    SLACK = 0.5  # seconds: for the two clocks and a reading

    def __init__(self, daemon, client, at_most):
        """at_most: seconds, of as_of itself."""
        self.daemon, self.client, self.at_most = daemon, client, at_most
        self.born, self.gone, self.wrong, self.polls, self.longest = {}, {}, [], 0, {"unseen": 0, "ended": 0, "age": 0}

    def poll(self):
        before = oracle.read_sids(self.client)
        since = oracle.parse_time(self.daemon.table("calls", limit=1)["as_of"][0])
        rows = self.daemon.rows("calls")
        now = time.time()
        after = oracle.read_sids(self.client)
        shown = {row["call_sid"] for row in rows}
        self.born = {sid: self.born.get(sid, now) for sid in before & after}
        self.gone = {sid: self.gone.get(sid, now) for sid in shown - before - after}
        self.expect("unseen", self.born, self.born.keys() - shown, since, now, "in progress, but not shown")
        self.expect("ended", self.gone, self.gone.keys(), since, now, "shown, but ended")
        self.longest["age"] = max(self.longest["age"], now - since)
        self.wrong += [f"{row['call_sid']} is {row['health_status']} ({row['health_reason']}), age {row['heartbeat_age_seconds']}"
                       for row in rows if row["health_status"] != "healthy"]
        self.polls += 1

    def expect(self, what, times, sids, since, now, sentence):
        for sid in sids:
            self.longest[what] = max(self.longest[what], now - times[sid])
            if times[sid] < since - self.SLACK or now - times[sid] > self.at_most:
                self.wrong.append(f"{sid} is {sentence} since {now - times[sid]:.1f} s, all is confirmed since {now - since:.1f} s")


@pytest.mark.large
@pytest.mark.sanitize
@pytest.mark.timeout(900)
@pytest.mark.parametrize("events", ["", "KA", "Kgx"])
def test_the_table_stays_equal_in_churn(redis, make_sim, daemon, proxy, events):
    """500 calls start and 500 end each second, 1 % of the messages are lost: nobody is judged by that, nothing ended stays. The large
    variant is of 100,000 calls, with times that fit so many."""
    redis.client.config_set("notify-keyspace-events", events)
    proxy.say("drop-pubsub 1")
    calls, rate, seconds, slower = (100000, 500, harness.LARGE, 5) if harness.LARGE else (500, 50, 10, 1) if harness.SANITIZED else (5000, 500, 15, 1)
    sim = make_sim(redis.url, "--calls", calls, "--rate", rate, "--beat", f"{2 * slower}s")
    daemon.start(config(daemon, proxy.url, calls=f"warning_after: {5 * slower}s\nstale_after: {10 * slower}s\n"
                                                 f"sweep: {{ budget: 50%, max_age: {4 * slower}s }}"))
    wait_complete(daemon)
    watcher = Watcher(daemon, redis.client, at_most=30 if slower == 1 else 60)
    end = time.monotonic() + seconds
    while (time.monotonic() < end or watcher.polls < 5) and not watcher.wrong:
        watcher.poll()
    assert_equal(watcher.wrong)
    print(f"{watcher.polls} looks, longest {watcher.longest}, {sim.status()}, {proxy.stats()}")
    assert sim.status()["ended"] > rate * seconds / 2 and proxy.stats()["dropped"] > 10
    sim.say("pause")
    wait_for(lambda: {r["call_sid"] for r in daemon.rows("calls")} == oracle.read_sids(redis.client), 10)


@pytest.mark.sanitize
def test_calls_that_fall_silent_turn_warning_then_stale_and_recover(redis, make_sim, daemon):
    sim = make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    daemon.start(config(daemon, redis.url, calls="warning_after: 3s\nstale_after: 9s"))
    wait_for(lambda: daemon.total(where="health_status=healthy") == 100)
    sim.say("stale 30")
    wait_for(lambda: daemon.total(where="health_status=warning") == 30, 10)
    wait_for(lambda: daemon.total(where="health_status=stale") == 30, 10)
    assert daemon.total(where="health_status=healthy") == 70
    sim.say("resume")
    wait_for(lambda: daemon.total(where="health_status=healthy") == 100, 10)


@pytest.mark.sanitize
def test_the_client_shows_what_the_table_has(redis, make_sim, daemon, client):
    make_sim(redis.url, "--calls", 150, "--stale", 20, "--load-only")
    daemon.start(config(daemon, redis.url, calls=EXTRA))
    wait_complete(daemon, 150)
    sids = oracle.read_sids(redis.client)

    as_csv = client("calls", "--format", "csv", "--limit", 1000)
    rows = list(csv.DictReader(io.StringIO(as_csv.stdout)))
    assert as_csv.returncode == 0 and {r["call_sid"] for r in rows} == sids
    lines = client("get", "calls", "--format", "ndjson", "--limit", 1000).stdout.splitlines()
    assert {json.loads(line)["call_sid"] for line in lines} == sids
    answer = json.loads(client("calls", "--format", "json", "--limit", 10).stdout)
    assert answer["total"] == 150 and len(answer["rows"]) == 10

    stale = {r["call_sid"] for r in daemon.rows(where="health_status=stale")}
    shown = client("calls", "--where", "health_status=stale", "--columns", "call_sid,worker", "--format", "csv", "--limit", 1000)
    assert {r["call_sid"] for r in csv.DictReader(io.StringIO(shown.stdout))} == stale and 5 < len(stale) < 60
    ages = client("calls", "--sort", "-heartbeat_age_seconds", "--columns", "heartbeat_age_seconds", "--format", "csv", "--limit", 1000)
    values = [float(r["heartbeat_age_seconds"]) for r in csv.DictReader(io.StringIO(ages.stdout))]
    assert values == sorted(values, reverse=True)

    text = client("calls")
    assert text.returncode == 0 and "100 of 150" in text.stdout
    sid = sorted(sids)[0]
    assert sid in client("describe", "calls", sid).stdout
    assert client("status").returncode == 0
    everything = "".join(client("calls", "--format", f, "--limit", 1000).stdout for f in ("table", "json", "csv", "ndjson"))
    numbers = [c.columns["from_phone"] for c in oracle.read_all(redis.client).values()]
    assert not [n for n in numbers if n and n in everything], "a number is not masked"


def test_watch_follows(redis, make_sim, daemon, folder):
    sim = make_sim(redis.url, "--calls", 5, "--beat", "1s")
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 5)
    watch = harness.Process(folder, "watch", [harness.BIN / "callwatch", "--socket", daemon.socket, "calls", "--watch", "--columns", "call_sid"])
    wait_for(lambda: all(sid in watch.stdout for sid in oracle.read_sids(redis.client)))
    sim.say("start 1")
    wait_for(lambda: all(sid in watch.stdout for sid in oracle.read_sids(redis.client)))
    watch.end(2)  # SIGINT


def test_once_reads_completely_and_says_whether_it_could(redis, make_sim, folder, daemon):
    make_sim(redis.url, "--calls", 3000, "--stale", 10, "--load-only")
    calls = oracle.read_all(redis.client).values()
    stale = sum("stale" in c.healths(time.time(), time.time()) for c in calls)
    text = config(daemon, redis.url)
    done = run_once(folder, text, "--once", "--format", "graphite")
    values = {line.split()[0]: float(line.split()[1]) for line in done.stdout.splitlines()}
    assert done.returncode == 0, done.stderr
    active = {k.rsplit(".", 1)[1]: v for k, v in values.items() if ".calls_active." in k}
    assert active["stale"] == stale and sum(active.values()) == 3000
    for form in ("text", "json", "putval"):
        assert "calls_active" in run_once(folder, text, "--once", "--format", form).stdout
    redis.stop()
    done = run_once(folder, text, "--once")
    assert done.returncode == 1 and "calls_active" not in done.stdout


def test_collectd_exec_takes_the_right_numbers(redis, make_sim, folder, daemon):
    """Real collectd: exec plugin, csv plugin. Its exec plugin refuses root, so callwatchd runs as nobody."""
    if os.geteuid() != 0:
        pytest.skip("needs root, for collectd's exec plugin to change to another user")
    if harness.SANITIZED:
        pytest.skip("one build is enough")
    make_sim(redis.url, "--calls", 300, "--stale", 10, "--load-only")
    calls = oracle.read_all(redis.client).values()
    stale = sum("stale" in c.healths(time.time(), time.time()) for c in calls)
    # nobody must reach the binaries, wherever the sources are.
    place = folder / "place"
    shutil.copytree(harness.BUILD / "plugins", place / "plugins")
    shutil.copy(harness.BIN / "callwatchd", place / "callwatchd")
    text = config(daemon, redis.url).replace(str(harness.BUILD / "plugins"), str(place / "plugins"))
    (place / "callwatch.yaml").write_text(text)
    for path in (folder, place, redis.folder):
        path.chmod(path.stat().st_mode | stat.S_IXOTH | stat.S_IROTH)
    (folder / "collectd.conf").write_text(f"""
Hostname "study"
FQDNLookup false
BaseDir "{folder}/base"
PIDFile "{folder}/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin logfile
<Plugin logfile>
  LogLevel info
  File "{folder}/collectd.log"
</Plugin>
LoadPlugin exec
<Plugin exec>
  Exec "nobody" "{place}/callwatchd" "-c" "{place}/callwatch.yaml" "--once" "--format" "putval"
</Plugin>
LoadPlugin csv
<Plugin csv>
  DataDir "{folder}/csv"
</Plugin>
""")
    collectd = harness.Process(folder, "collectd", ["/usr/sbin/collectd", "-f", "-C", folder / "collectd.conf"])

    def values():
        found = {}
        for path in (folder / "csv").rglob("*calls_active*"):
            found[path.name.split("calls_active-")[1].split("-20")[0]] = float(path.read_text().strip().split("\n")[-1].split(",")[1])
        return found if {"healthy", "warning", "stale"} <= found.keys() else None

    try:
        found = wait_for(values, 20, what="collectd to write calls_active")
    except harness.Deadline as e:
        raise harness.Deadline(f"{e}\n{(folder / 'collectd.log').read_text()[-3000:]}") from None
    finally:
        collectd.kill()
    assert found["stale"] == stale and sum(found.values()) == 300
    assert list((folder / "csv").glob("*/callwatch-calls"))


@pytest.mark.sanitize
def test_reloads_leave_nothing_behind(redis, make_sim, daemon, client):
    make_sim(redis.url, "--calls", 100, "--beat", "1s")
    good = [config(daemon, redis.url), config(daemon, redis.tcp_url, calls="warning_after: 50s")]
    bad = [good[0].replace("url:", "ulr:"), good[0] + "  - plugin: nosuch\n", good[0].replace("interval: 1s", "interval: soon"),
           "plugins: [\n"]
    daemon.start(good[0])
    wait_complete(daemon, 100)

    def reload(text):
        daemon.configure(text)
        return client("reload")

    def settle():
        assert reload(good[1]).returncode == 0
        assert reload(good[0]).returncode == 0
        daemon.wait_state("up")
        wait_complete(daemon, 100)
        wait_for(lambda: {row["state"] for row in daemon.rows("channels")} == {"up"})
        return daemon.process.fds()

    fds = min(settle() for _ in range(3))  # a connection of ours that has just ended may still be counted
    memory = daemon.process.rss_kib()
    for i in range(20):
        done = reload(good[i % 2])
        assert done.returncode == 0, done.stdout + done.stderr
        done = reload(bad[i % 4])
        assert done.returncode == 1 and f"{daemon.config_path}:" in done.stdout + done.stderr
    settle()
    wait_for(lambda: daemon.process.fds() <= fds, what=f"{fds} descriptors")
    if not harness.SANITIZED:
        assert daemon.process.rss_kib() < memory + 2048


def test_a_business_that_is_a_number_is_no_label(redis, daemon):
    for i, business in enumerate(("+14155550132", "desk +1 (415) 555-0132", "plain+")):
        redis.client.hset(f"call_ctx:CA{i}", mapping={"business_id": business, "from_phone_number": "+14155550132", "to_phone_number": "+14155550100",
                                                      "start_time": "2026-01-01T00:00:00Z"})
        redis.client.set(f"call_heartbeat:CA{i}", f"{time.time():.3f}")
    daemon.start(config(daemon, redis.url, calls="breakdown: { by: business_id, top: 5 }"))

    def counted():
        return {m["labels"]["business"]: m["value"] for m in daemon.get("/api/v1/status")["metrics"] if m["metric"] == "business_calls_active"}

    wait_for(lambda: counted() and sum(counted().values()) == 3)
    assert counted() == {"plain+": 1, "_other": 2}
