# SPDX-License-Identifier: MIT
"""The fault matrix where Redis, or the way to it, is at fault. Each test bears the number of its row.

What holds in every row: a state with a reason, rows that stay while the source is blind, no zero and no "ended" in disguise, and recovery
within 10 s once the fault is gone. The daemon fixture adds: a clean stop within 5 s in every one of them."""

import json
import os
import re
import subprocess
import time
from pathlib import Path

import pytest

import harness
import oracle
from harness import always, config, run_client, wait_for

QUICK = "warning_after: 4s\nstale_after: 8s"
OFTEN = "sweep: { budget: 50%, max_age: 4s }"  # a sweep begins every 2 to 4 s
RECOVERY = 10


def complete(daemon, n):
    answer = daemon.table("calls", limit=1)
    return answer["complete"] and answer["total"] == n


def wait_complete(daemon, n, deadline=30):
    wait_for(lambda: complete(daemon, n), deadline, what=f"a complete table of {n} calls")


def unhealthy(daemon):
    return daemon.total(where="health_status!=healthy")


def notes(daemon, words):
    return [r for r in daemon.rows("events", where="kind=note") if words in (r["text"] or "")]


def judged(daemon):
    """Events by which a call became anything but healthy: what an alert would come of."""
    return [r for r in daemon.rows("events", where="kind=transition") if r["subject"].startswith("calls/") and r["to"] not in (None, "healthy")]


def assert_blind_but_not_empty(daemon, n, seconds=2):
    """While the source cannot see: all rows stay, none is judged."""
    always(lambda: daemon.total() == n, seconds, what=f"{n} rows stay")


@pytest.mark.sanitize
def test_fault_01_redis_down_at_start(make_redis, make_sim, daemon):
    redis = make_redis(start=False)
    daemon.start(config(daemon, redis.tcp_url))
    daemon.wait_state("down", "refused")
    row = daemon.instance()
    assert str(redis.port) in row["reason"] and row["next_try"] and row["since"]
    answer = daemon.table("calls")
    assert not answer["complete"] and answer["rows"] == []
    redis.start()
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    daemon.wait_state("up", deadline=RECOVERY)
    wait_complete(daemon, 50)


@pytest.mark.large
@pytest.mark.timeout(600)
def test_fault_02_cut_in_mid_sweep(redis, make_sim, daemon, proxy):
    """Cut at every so manyth byte of a sweep: no call ends by it, and the next sweep finds them all."""
    make_sim(redis.url, "--calls", 300, "--load-only")
    daemon.start(config(daemon, proxy.url))
    wait_complete(daemon, 300)
    size, seen = proxy.stats()["down"], set()
    assert size > 30000
    for after in range(1000, size, 1000 if harness.LARGE else size // 8):
        cuts = proxy.stats()["cuts"]
        proxy.say(f"cut-down {after}")
        proxy.say("close")
        wait_for(lambda: seen.add(daemon.total()) or proxy.stats()["cuts"] > cuts, RECOVERY, what=f"the cut after {after} bytes")
    daemon.wait_state("up", deadline=RECOVERY)
    wait_for(lambda: seen.add(daemon.total()) or complete(daemon, 300))
    assert seen == {300}


def test_fault_02_a_first_sweep_that_never_ends_is_not_complete(redis, make_sim, daemon, proxy):
    make_sim(redis.url, "--calls", 3000, "--load-only")
    proxy.say("cut-every-down 60000")
    daemon.start(config(daemon, proxy.url))
    harness.always(lambda: not daemon.table("calls", limit=1)["complete"], 4, what="the table is not complete")
    assert 0 < daemon.total() < 3000
    proxy.say("cut-every-down off")
    wait_complete(daemon, 3000, RECOVERY)


@pytest.mark.sanitize
def test_fault_03_redis_restarts_empty(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 200, "--load-only")
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 200)
    redis.restart(empty=True)
    wait_complete(daemon, 0, RECOVERY + 5)
    daemon.wait_state("up", deadline=RECOVERY)
    make_sim(redis.url, "--calls", 20, "--seed", 2, "--beat", "1s")
    wait_complete(daemon, 20, RECOVERY)


def test_fault_03_redis_restarts_with_its_data(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 200, "--load-only")
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 200)
    redis.restart(empty=False)
    seen = set()
    wait_for(lambda: seen.add(daemon.total()) or daemon.state()[0] == "up" and complete(daemon, 200), RECOVERY)
    assert seen == {200}


def test_fault_03_flushed_and_reloaded(redis, make_sim, daemon):
    """FLUSHALL and DEBUG RELOAD emit no keyspace events."""
    redis.client.config_set("notify-keyspace-events", "KA")
    make_sim(redis.url, "--calls", 200, "--load-only")
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 200)
    redis.client.execute_command("DEBUG", "RELOAD")
    always(lambda: daemon.total() == 200, 1, what="200 rows stay")
    redis.client.flushall()
    wait_complete(daemon, 0, RECOVERY)


@pytest.mark.sanitize
def test_fault_04_redis_frozen(make_redis, make_sim, daemon):
    redis, other = make_redis("redis"), make_redis("other")
    sim = make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    make_sim(other.url, "--calls", 10, "--beat", "500ms", "--seed", 9)
    daemon.start(config(daemon, redis.url, calls=QUICK, more=f"- plugin: redis-calls\n  name: other\n  url: \"{other.url}\"\n"))
    wait_for(lambda: daemon.total() == 110)
    redis.freeze()
    ages = []

    def channel_down():
        answer = daemon.table("channels", where=["instance=calls", "channel=call_heartbeat"])
        row = answer["rows"][0]
        if row["state"] == "up":
            ages.append(answer["age_seconds"])
        return row["state"] == "down" and row

    row = wait_for(channel_down, 20)
    assert max(ages) > 3, "a channel is confirmed by what is heard on it"
    assert row["messages_per_second"] is None, "what cannot be heard is not a rate of 0"
    daemon.wait_state(("down", "degraded"), deadline=15)
    reads = daemon.instance("other")["reads"]
    assert daemon.total(where="instance=calls") == 100
    always(lambda: daemon.total(where=["instance=calls", "health_status=healthy"]) == 100, 3, what="nobody is judged while blind")
    wait_for(lambda: daemon.instance("other")["reads"] > reads and daemon.state("other")[0] == "up", 5)
    redis.thaw()
    daemon.wait_state("up", deadline=RECOVERY)
    wait_for(lambda: sim.status()["connected"])
    wait_for(lambda: daemon.total(where=["instance=calls", "health_status=healthy"]) == 100, RECOVERY)


def test_fault_05_redis_slow(redis, make_sim, daemon, proxy):
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    proxy.say("delay 0.5")  # in each direction
    daemon.start(config(daemon, proxy.url), wait=False)
    daemon.wait_ready(30)
    wait_complete(daemon, 50, 40)
    assert daemon.state()[0] in ("up", "degraded")
    always(lambda: daemon.state()[0] != "down", 5, what="slow is not down")
    assert unhealthy(daemon) == 0


def test_fault_06_loading(make_tool, daemon):
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 100)
    fake.say("loading")
    daemon.start(config(daemon, fake.url))
    daemon.wait_state("down", "loading")
    before = fake.stats()["connections"]
    time_passed = time.monotonic()
    always(lambda: daemon.state()[0] == "down", 4)
    time_passed = time.monotonic() - time_passed
    assert fake.stats()["connections"] - before <= 2 * time_passed + 2, "a storm of reconnects"
    fake.say("normal")
    daemon.wait_state("up", deadline=RECOVERY)
    wait_complete(daemon, 100)


@pytest.mark.sanitize
def test_fault_07_no_right_to_subscribe(redis, make_sim, daemon):
    """What is allowed goes on; what is not is named."""
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all", "-subscribe", "-psubscribe")
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    daemon.start(config(daemon, redis.url, calls="username: watcher\npassword: pass-4711"))
    wait_complete(daemon, 50)
    daemon.wait_state("degraded", "subscribe")
    assert "pass-4711" not in daemon.stderr
    redis.client.execute_command("ACL", "SETUSER", "watcher", "+subscribe", "+psubscribe")
    daemon.wait_state("up", deadline=45)


@pytest.mark.parametrize("command", ["scan", "hmget", "getrange", "exists", "time"])
def test_fault_07_a_right_is_taken_away_and_given_back(redis, make_sim, daemon, command):
    """With the default configuration, where sweeps are 30 s apart: noticed within two intervals, and so is its return."""
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~*", "&*", "+@all")
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    daemon.start(config(daemon, redis.url, calls="username: watcher\npassword: pass-4711"))
    wait_complete(daemon, 50)
    redis.client.execute_command("ACL", "SETUSER", "watcher", f"-{command}")
    daemon.wait_state("down", f"watcher may not run {command} (NOPERM)", deadline=RECOVERY)
    assert_blind_but_not_empty(daemon, 50)
    redis.client.execute_command("ACL", "SETUSER", "watcher", f"+{command}")
    daemon.wait_state("up", deadline=RECOVERY)


def test_fault_07_rights_to_some_keys_only(redis, make_sim, daemon):
    """Who may read CA… calls only is not told that a command is refused: it is not, for those."""
    redis.client.execute_command("ACL", "SETUSER", "watcher", "on", ">pass-4711", "~call_ctx:CA*", "~call_heartbeat:CA*", "&*", "+@all")
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    daemon.start(config(daemon, redis.url, calls="username: watcher\npassword: pass-4711"))
    wait_complete(daemon, 50)
    always(lambda: daemon.state()[0] == "up", 8, what="up")


@pytest.mark.parametrize("command, answer", [("SCAN", "NOPERM this user has no permissions to run the 'scan' command"),
                                             ("SCAN", "MISCONF Redis is configured to save RDB snapshots"),
                                             ("HMGET", "NOPERM this user has no permissions to run the 'hmget' command")])
def test_fault_07_a_command_is_refused(make_tool, daemon, command, answer):
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 100)
    daemon.start(config(daemon, fake.url))
    wait_complete(daemon, 100)
    fake.say(f"error-for {command} {answer}")
    daemon.wait_state("down", answer.split()[0], deadline=RECOVERY)
    assert daemon.total() == 100
    fake.say("normal")
    daemon.wait_state("up", deadline=RECOVERY)


def test_fault_08_wrong_password(make_redis, make_sim, daemon):
    redis = make_redis(start=False)
    redis.config, redis.password = "requirepass right-secret-1", "right-secret-1"
    redis.start()
    for given, reason in (("password: wrong-secret-2", "WRONGPASS"), ("", "NOAUTH")):
        daemon.start(config(daemon, redis.url, calls=given))
        daemon.wait_state("down", reason)
        made = redis.client.info()["total_connections_received"]
        always(lambda: daemon.state()[0] == "down", 4)
        assert redis.client.info()["total_connections_received"] - made <= 4 + 1  # one is ours
        assert "secret" not in daemon.stderr and "secret" not in json.dumps(daemon.instance())
        daemon.stop()
    secret = daemon.folder / "redis.password"
    secret.write_text("right-secret-1\n")
    os.chmod(secret, 0o600)
    daemon.start(config(daemon, redis.url, calls=f"password_file: {secret}"))
    daemon.wait_state("up")


def test_fault_09_failover(make_redis, make_sim, daemon, make_tool):
    old, new = make_redis("old"), make_redis("new")
    make_sim(old.url, "--calls", 100, "--load-only")
    new.client.execute_command("REPLICAOF", "127.0.0.1", old.port)
    wait_for(lambda: new.client.dbsize() == old.client.dbsize())
    proxy = make_tool("proxy.py", "--to", f"unix:{old.socket}")
    daemon.start(config(daemon, proxy.url))
    wait_complete(daemon, 100)
    new.client.execute_command("REPLICAOF", "NO", "ONE")
    old.client.execute_command("REPLICAOF", "127.0.0.1", new.port)
    proxy.say(f"to unix:{new.socket}")
    proxy.say("close")
    seen = set()
    make_sim(new.url, "--calls", 5, "--seed", 3, "--beat", "1s")
    wait_for(lambda: seen.add(daemon.total()) or daemon.state()[0] == "up" and complete(daemon, 105), RECOVERY)
    assert min(seen) >= 100


def test_fault_09_the_subscription_follows_a_failover(make_redis, daemon, make_tool):
    """Only the connection that asks is cut; the subscription is well, but with the old server."""
    old, new = make_redis("old"), make_redis("new")
    for server in (old, new):
        server.client.hset("call_ctx:A", mapping={"start_time": "2026-01-01T00:00:00Z"})
        server.client.config_set("notify-keyspace-events", "KA")
    proxy = make_tool("proxy.py", "--to", f"unix:{old.socket}")
    daemon.start(config(daemon, proxy.url))
    wait_complete(daemon, 1)
    wait_for(lambda: old.client.pubsub_numpat() == 1)
    proxy.say(f"to unix:{new.socket}")
    old.client.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
    wait_for(lambda: new.client.pubsub_numsub("call_heartbeat")[0][1] == new.client.pubsub_numpat() == 1, RECOVERY)
    assert old.client.pubsub_numsub("call_heartbeat")[0][1] == old.client.pubsub_numpat() == 0
    daemon.wait_state("up", deadline=RECOVERY)
    new.client.publish("call_heartbeat", "A")
    wait_for(lambda: daemon.total(where="health_status=healthy") == 1, 5)


def test_an_ipv6_address(make_redis, make_sim, daemon):
    redis = make_redis(start=False)
    redis.config = "bind ::1"
    redis.start()
    make_sim(redis.url, "--calls", 5, "--beat", "1s")
    daemon.start(config(daemon, f"redis://[::1]:{redis.port}/0"))
    wait_complete(daemon, 5)
    redis.stop()
    daemon.wait_state("down", f"[::1]:{redis.port}")


@pytest.mark.sanitize
@pytest.mark.parametrize("which", ["blackhole-subscribers", "blackhole-old"])
def test_fault_10_half_open(redis, make_sim, daemon, proxy, which):
    """The connection stays open and carries nothing: noticed within 15 s, and nobody is judged by the silence."""
    sim = make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    daemon.start(config(daemon, proxy.url, calls=QUICK))
    wait_complete(daemon, 100)
    connections = proxy.stats()["connections"]
    proxy.say(which)
    bad = []

    def reconnected():
        bad.append(unhealthy(daemon))
        return proxy.stats()["connections"] > connections

    wait_for(reconnected, 15, what="a new connection")
    daemon.wait_state("up", deadline=RECOVERY + 5)
    sim.say("start 5")
    wait_for(lambda: daemon.total() == 105, RECOVERY)
    assert not any(bad), "a call was judged by a dead channel"
    assert unhealthy(daemon) == 0


def test_fault_11_subscriber_cut_by_the_buffer_limit(redis, make_sim, daemon):
    redis.client.config_set("client-output-buffer-limit", "pubsub 65536 0 0")
    sim = make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    daemon.start(config(daemon, redis.url, calls=QUICK))
    wait_complete(daemon, 100)
    daemon.process.freeze()
    sim.say("beat-flood 100000")
    daemon.process.thaw()
    sim.say("start 10")
    wait_for(lambda: daemon.total() == 110 and unhealthy(daemon) == 0, RECOVERY)
    daemon.wait_state("up", deadline=RECOVERY)
    always(lambda: unhealthy(daemon) == 0, 2, what="nobody is judged by lost messages")


def test_fault_12_a_large_keyspace(make_tool, daemon):
    """A million keys of which 20,000 are calls: no KEYS, flat memory."""
    fake = make_tool("fakeredis.py", "--keys", 1000000, "--matching", 20000)
    daemon.start(config(daemon, fake.url))
    wait_complete(daemon, 20000, 60)
    commands = fake.stats()["commands"]
    assert "KEYS" not in commands and "HGETALL" not in commands and commands["SCAN"] >= 1000
    assert commands.get("TYPE", 0) < 20000
    if not harness.SANITIZED:
        assert daemon.process.rss_kib() < 40 * 1024


def test_fault_12_sweeps_keep_to_their_budget(make_tool, daemon):
    """A page that takes 0.1 s is followed by a pause of 1.9 s, at 5 %. More commands than that can have no other cause."""
    fake = make_tool("fakeredis.py", "--keys", 10000, "--matching", 100)
    daemon.start(config(daemon, fake.url, calls="sweep: { max_age: 2s }"))
    wait_complete(daemon, 100)
    fake.say("late SCAN 0.1")
    before = fake.stats()["commands"]["SCAN"]
    always(lambda: fake.stats()["commands"]["SCAN"] - before <= 12, 6, what="at most a page in 2 s")


def test_fault_13_heartbeats_of_a_call_that_is_gone(make_tool, daemon):
    """Whoever goes on beating for an ended call does not make us ask each time."""
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 10)
    daemon.start(config(daemon, fake.url))
    wait_complete(daemon, 10)
    before = fake.stats()["commands"].get("EXISTS", 0)
    for _ in range(20):
        fake.say("publish call_heartbeat GONE")
        time.sleep(0.1)
    wait_for(lambda: fake.stats()["commands"].get("EXISTS", 0) > before)
    assert fake.stats()["commands"]["EXISTS"] - before <= 3
    assert daemon.total() == 10


def test_fault_13_duplicates_and_vanishing_keys(make_tool, daemon):
    fake = make_tool("fakeredis.py", "--keys", 5000, "--matching", 1000)
    fake.say("duplicates 30")
    fake.say("vanish 10")
    daemon.start(config(daemon, fake.url))
    there = sum((n * 7919) % 100 >= 10 for n in range(1000))
    wait_complete(daemon, there)
    assert daemon.state()[0] == "up" and len(daemon.rows()) == there


def test_fault_13_an_answer_older_than_an_event(make_tool, daemon):
    """Events and answers come by two connections: a call read just before it ended must not come back to life when the answer is late."""
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 0)
    fake.say("notify KA")
    daemon.start(config(daemon, fake.url))
    wait_complete(daemon, 0)
    wait_for(lambda: "PSUBSCRIBE" in fake.stats()["commands"])
    fake.say("matching 1")
    fake.say("late HMGET 1")
    asked = fake.stats()["commands"].get("GETRANGE", 0)
    fake.say("event hset call_ctx:FAKE00000000")
    wait_for(lambda: fake.stats()["commands"].get("GETRANGE", 0) > asked, every=0.01)
    fake.say("matching 0")
    fake.say("event del call_ctx:FAKE00000000")
    always(lambda: daemon.total() == 0, 3, what="no row comes back")


def test_fault_09_another_server_in_the_middle_of_a_sweep(make_tool, daemon):
    """What was not met with the one may well be with the other: such a sweep proves no end."""
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 100)
    daemon.start(config(daemon, fake.url, calls=OFTEN))
    wait_complete(daemon, 100)
    fake.say("run-id changing")
    daemon.wait_state("down", "another server took over", deadline=RECOVERY)
    swept = daemon.table("calls", limit=1)["as_of"][0]
    always(lambda: daemon.table("calls", limit=1)["as_of"][0] == swept and daemon.total() == 100, 4, what="no sweep counts")
    fake.say("run-id one")
    daemon.wait_state("up", deadline=RECOVERY)


@pytest.mark.sanitize
def test_fault_14_keys_of_a_wrong_type(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 20, "--beat", "1s")
    redis.client.set("call_ctx:x", "1")
    redis.client.rpush("call_ctx:y", "1")
    redis.client.hset("call_heartbeat:z", "a", "b")
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 20)
    daemon.wait_malformed(2)
    assert daemon.state()[0] == "up"


@pytest.mark.sanitize
def test_fault_15_hostile_key_names(redis, make_sim, daemon, client):
    names = [b"a\0b", b"\xff\xfe", b"x" * 300, b"\x1b[31m", b"\n", b"", "\u202eevil".encode(), b"ok id", b"x" * 128, b"x" * 129,
             b"+14155550132\n"]
    for name in names:
        redis.client.hset(b"call_ctx:" + name, "business_id", "b")
        redis.client.set(b"call_heartbeat:" + name, str(time.time()))
    daemon.start(config(daemon, redis.url))
    shown = {oracle.utf8(n) for n in names if oracle.sid_is_valid(n)}
    wait_complete(daemon, len(shown))
    assert {r["call_sid"] for r in daemon.rows()} == shown
    daemon.wait_malformed(len(names) - len(shown), 2 * len(names))
    text = client("calls").stdout
    assert "\x1b[31m" not in text and "\u202e" not in text
    assert client("describe", "calls", "x" * 128).returncode == 0
    wait_for(lambda: "0132\\n" in daemon.stderr)
    assert "+14155550132" not in daemon.stderr, "a number in a key of no call is masked"


def test_fault_16_huge_values(redis, make_sim, daemon):
    """512 MB strings, a 64 MB field, a hash with a million fields: skipped, counted, and the others are there."""
    if harness.SANITIZED:
        pytest.skip("memory is judged in the release build")
    make_sim(redis.url, "--calls", 100, "--malformed", 77, "--huge", "--load-only")
    expected = oracle.read_all(redis.client)
    daemon.start(config(daemon, redis.url), wait=False)
    daemon.wait_ready(60)
    wait_for(lambda: daemon.table("calls", limit=1)["complete"], 30)
    shown = {r["call_sid"]: r for r in daemon.rows()}
    assert {s for s in expected if "huge-" not in s} <= shown.keys() <= expected.keys()
    heartbeat = next(r for s, r in shown.items() if "huge-heartbeat" in s)
    assert heartbeat["last_heartbeat"] is None
    assert daemon.process.rss_kib() < 32 * 1024
    always(lambda: daemon.state()[0] in ("up", "degraded"), 3)


@pytest.mark.parametrize("names,calls", [([2 << 20], 500), ([2 << 20], 5000), ([900000] * 30, 500), ([10 << 20, *[9000] * 3000], 500)],
                         ids=["one", "late", "many", "mixed"])
def test_fault_16_huge_names_of_keys(redis, make_sim, daemon, names, calls):
    """SCAN sends names whole, whatever their length: they are skipped as they come in, and counted once. Late: most likely calls are on their way when it comes."""
    make_sim(redis.url, "--calls", calls, "--beat", "1s")
    for i, length in enumerate(names):
        redis.client.hset(b"call_ctx:" + str(i).encode().ljust(length, b"x"), "business_id", "b")
    daemon.start(config(daemon, redis.url, calls=OFTEN), wait=False)
    wait_complete(daemon, calls)
    daemon.wait_state("up")
    sweeps = daemon.table("calls", limit=1)["as_of"]
    wait_for(lambda: daemon.table("calls", limit=1)["as_of"][0] > sweeps[1], what="another sweep")
    daemon.wait_malformed(len(names))
    if not harness.SANITIZED:
        assert daemon.process.rss_kib() < 40 * 1024
    redis.client.eval("for _, k in ipairs(redis.call('KEYS', '*')) do if #k > 8000 then redis.call('DEL', k) end end", 0)
    make_sim(redis.url, "--calls", 10, "--seed", 5, "--beat", "1s")
    wait_complete(daemon, calls + 10)


LIES = ["huge-array", "huge-array-64", "negative-array", "negative-bulk", "huge-bulk", "bulk-overflow", "nested", "no-crlf", "no-number",
        "garbage", "http", "integer", "nil", "empty-array", "wrong-shape", "endless-line", "status"]


@pytest.mark.sanitize
@pytest.mark.parametrize("command", ["SCAN", "HMGET", "INFO", "GETRANGE"])
def test_fault_17_resp_lies(make_tool, daemon, command):
    """One instance for each lie, all in one daemon; then the truth."""
    if harness.SANITIZED and command != "SCAN":
        pytest.skip("the release build tries all commands")
    fakes = {lie: make_tool("fakeredis.py", "--keys", 300, "--matching", 50) for lie in LIES}
    for lie, fake in fakes.items():
        assert fake.say(f"lie {command} {lie}") == "ok"
    first, *others = LIES
    more = "".join(f"- plugin: redis-calls\n  name: {lie}\n  url: \"{fakes[lie].url}\"\n" for lie in others)
    daemon.start(config(daemon, fakes[first].url, more=more))
    memory = daemon.process.rss_kib()
    wait_for(lambda: all(command in f.stats()["commands"] for f in fakes.values()) or command == "GETRANGE", 10)
    always(lambda: daemon.process.running, 3, what="callwatchd lives")
    if not harness.SANITIZED:
        assert daemon.process.rss_kib() < memory + 96 * 1024 and daemon.process.rss_kib() < 128 * 1024
    if command == "SCAN":
        assert not daemon.table("calls", limit=1)["complete"]
    for fake in fakes.values():
        fake.say("normal")
    for name in ["calls", *others]:
        daemon.wait_state("up", name=name, deadline=45)
    wait_for(lambda: daemon.total() == 50 * len(LIES), 20)


HOSTILE = [b"caf\xe9 \xc3\x28", "\ud800".encode("utf-8", "surrogatepass"), "\u202egnp.exe".encode(), "\U0001F4DE caf\u00e9".encode(),
           b"a\nb\tc\rd\x1b[2J", b"a.b;c=d e", b'quo"te\\', b"-n", b"=1+1", b"<b>", b"a" * 250]


@pytest.mark.sanitize
def test_fault_20_hostile_text_in_every_output(redis, daemon, client, folder):
    now = time.time()
    for i, text in enumerate(HOSTILE):
        redis.client.hset(f"call_ctx:S{i}", mapping={"business_id": text, "from_phone_number": text, "start_time": "2026-01-01T00:00:00Z"})
        redis.client.set(f"call_heartbeat:S{i}", str(now))
    text = config(daemon, redis.url, calls="breakdown: { by: business_id, top: 50 }\nextra_fields: { worker: business_id }")
    daemon.start(text)
    wait_complete(daemon, len(HOSTILE))
    rows = {r["call_sid"]: r for r in daemon.rows()}
    for i, value in enumerate(HOSTILE):
        assert rows[f"S{i}"]["business_id"] == oracle.utf8(value)
    for form in ("json", "csv", "ndjson"):
        status, body = daemon.request("GET", f"/api/v1/tables/calls?format={form}&limit=1000")
        assert status == 200
        body.decode("utf-8")
    shown = client("calls", "--columns", "business_id").stdout
    assert "\x1b[2J" not in shown and "\u202e" not in shown
    assert len([line for line in shown.splitlines() if "a" * 20 in line]) >= 1
    for form in ("text", "json", "putval", "graphite"):
        done = harness.run_once(folder, text, "--once", "--format", form)
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert [c for c in ("\x1b\r" if form == "json" else "\x1b\r\u202e") if c in done.stdout] == [], form
        if form == "json":
            assert all(json.loads(line) for line in lines)
        if form == "graphite":
            assert all(len(line.split(" ")) == 3 for line in lines)
        if form == "putval":
            assert all(line.startswith("PUTVAL ") for line in lines)


def test_fault_21_a_megabyte_where_a_word_should_be(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 10, "--beat", "1s")
    redis.client.hset("call_ctx:long", mapping={"business_id": "x" * 1000000, "start_time": "2026-01-01T00:00:00Z"})
    redis.client.hset("call_ctx:lines", mapping={"business_id": "\n" * 10000, "start_time": "2026-01-01T00:00:00Z"})
    redis.client.publish("call_heartbeat", "y" * 1000000)
    daemon.start(config(daemon, redis.url))
    redis.client.publish("call_heartbeat", "y" * 1000000)
    wait_for(lambda: daemon.table("calls", limit=1)["complete"])
    rows = wait_for(lambda: (r := {r["call_sid"]: r for r in daemon.rows()}) and len(r) >= 11 and r)
    for sid in rows.keys() & {"long", "lines"}:
        assert rows[sid]["business_id"] is None
    wait_for(lambda: daemon.instance()["malformed"] >= 2)
    assert max(map(len, daemon.stderr.splitlines())) < 5000


def test_fault_22_odd_json_in_heartbeats(redis, make_sim, daemon):
    redis.client.hset("call_ctx:12345678901234567890", mapping={"start_time": "2026-01-01T00:00:00Z"})
    redis.client.hset("call_ctx:A", mapping={"start_time": "2026-01-01T00:00:00Z"})
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, 2)
    for message in ('{"call_sid": "A", "call_sid": "B"}', '{"call_sid": 12345678901234567890}', '{"call_sid": null}', '{"call_sid": ["A"]}',
                    '{"timestamp": 1}', "[1]", "{", '{"call_sid": "\\ud800"}', '{"call_sid": "A", "timestamp": -0}',
                    '{"call_sid": "A", "timestamp": NaN}', "[" * 100000, '{"call_sid": "A", "timestamp": 1e999999}', ""):
        redis.client.publish("call_heartbeat", message)
    now = time.time()
    redis.client.publish("call_heartbeat", json.dumps({"call_sid": "12345678901234567890", "timestamp": now}))
    row = wait_for(lambda: [r for r in daemon.rows() if r["call_sid"] == "12345678901234567890" and r["health_status"] == "healthy"])[0]
    assert row["last_heartbeat"] == oracle.stamp(now)
    assert daemon.total() == 2 and daemon.state()[0] == "up"
    wait_for(lambda: daemon.instance()["malformed"] >= 8)


@pytest.mark.parametrize("step", ["-1h", "+1d"])
def test_fault_23_the_clock_jumps(redis, make_sim, daemon, folder, step):
    """The wall clock of the agent's machine jumps, the monotonic one does not: no call is judged by it, no reading is made up for."""
    if harness.SANITIZED:
        pytest.skip("libfaketime and the sanitizers do not go together")
    library = next(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    rc = folder / "faketime.rc"
    rc.write_text("+0\n")
    make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    daemon.start(config(daemon, redis.url, calls=QUICK), env={
        "LD_PRELOAD": str(library), "FAKETIME_TIMESTAMP_FILE": str(rc), "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1"})
    wait_complete(daemon, 100)
    reads, began = wait_for(daemon.instance)["reads"], time.monotonic()
    rc.write_text(step + "\n")
    wait_for(lambda: notes(daemon, "the clock was stepped"), what="a word about the step (else the clock was not turned at all)")
    bad = []
    while time.monotonic() < began + 6:
        bad += [r for r in daemon.rows() if r["health_status"] != "healthy" or not 0 <= r["heartbeat_age_seconds"] < 4 or r["duration_seconds"] < 0]
    assert not bad, bad[:5]
    assert 2 <= daemon.instance()["reads"] - reads <= time.monotonic() - began + 2, "one reading a second, as before"
    assert daemon.state()[0] in ("up", "degraded") and daemon.total() == 100
    assert not judged(daemon)
    hours = {"-1h": "-3600", "+1d": "+86400"}[step]
    assert [n["text"] for n in notes(daemon, "stepped")] == [f"the clock was stepped by {hours} s"]


@pytest.mark.parametrize("skew", [-3600, 3600])
def test_fault_23_the_clock_of_redis_differs(make_tool, daemon, skew):
    """Ages are by Redis' clock, what is claimed is shown as it is: skew is no matter of health."""
    fake = make_tool("fakeredis.py", "--keys", 500, "--matching", 20)
    fake.say(f"clock {skew}")
    daemon.start(config(daemon, fake.url))
    wait_complete(daemon, 20)
    for row in daemon.rows():
        assert row["health_status"] == "healthy" and row["heartbeat_age_seconds"] < 5
        assert abs(oracle.parse_time(row["last_heartbeat"]) - time.time() - skew) < 10


@pytest.mark.sanitize
def test_fault_24_the_agent_was_stopped_for_a_while(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 100, "--beat", "500ms")
    daemon.start(config(daemon, redis.url, calls=QUICK))
    wait_complete(daemon, 100)
    before = daemon.instance()
    daemon.process.freeze()
    time.sleep(10)  # the fault itself: the agent sleeps longer than stale_after
    daemon.process.thaw()
    thawed = time.monotonic()
    bad = []
    while time.monotonic() < thawed + 4:
        bad.append(unhealthy(daemon))
    assert not any(bad), "calls were judged by the agent's own sleep"
    after = daemon.instance()
    assert after["reads"] - before["reads"] <= time.monotonic() - thawed + 2, "missed readings are not made up for"
    assert after["overruns"] - before["overruns"] >= 7, "they are counted"
    assert not judged(daemon)
    assert len(notes(daemon, "nothing was watched for 1")) == 1
    daemon.wait_state("up", deadline=RECOVERY)


@pytest.mark.sanitize
def test_fault_24_what_waited_while_the_agent_slept_is_no_sign_of_life(redis, daemon):
    """Messages lie in a buffer meanwhile. A call that beat and then died is not young when they are read; one that only sends messages is not old."""

    def beat(*sids):
        for sid in sids:
            redis.client.publish("call_heartbeat", json.dumps({"call_sid": sid, "timestamp": time.time()}) if sid == "dead-json" else sid)
            if sid != "messages-only":
                redis.client.set(f"call_heartbeat:{sid}", str(time.time()))

    calls = ["dead-bare", "dead-json", "beats", "messages-only"]
    for sid in calls:
        redis.client.hset(f"call_ctx:{sid}", mapping={"start_time": "2026-01-01T00:00:00Z"})
    daemon.start(config(daemon, redis.url, calls=QUICK))
    wait_for(lambda: beat(*calls) or complete(daemon, 4) and unhealthy(daemon) == 0)
    daemon.process.freeze()
    beat("dead-bare", "dead-json")
    end = time.monotonic() + 10  # the fault itself: the agent sleeps longer than stale_after
    while time.monotonic() < end:
        beat("beats", "messages-only")
        time.sleep(0.5)
    daemon.process.thaw()
    end = time.monotonic() + 5
    while time.monotonic() < end:
        beat("beats", "messages-only")
        rows = {r["call_sid"]: r for r in daemon.rows()}
        assert rows["beats"]["health_status"] == rows["messages-only"]["health_status"] == "healthy"
        ages = {sid: row["heartbeat_age_seconds"] for sid, row in rows.items() if "dead" in sid}
        assert min(ages.values()) > 7, ages
    assert rows["dead-bare"]["health_status"] == rows["dead-json"]["health_status"] == "stale"
    assert "nothing was watched for" in daemon.stderr


def test_fault_25_time_zones(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 3, "--load-only")
    daemon.start(config(daemon, redis.url), env={"TZ": "Asia/Kolkata"})
    wait_complete(daemon, 3)
    assert all(r["start_time"].endswith("Z") for r in daemon.rows())
    expected = {c.sid: oracle.stamp(c.start) for c in oracle.read_all(redis.client).values()}
    assert {r["call_sid"]: r["start_time"] for r in daemon.rows()} == expected
    local = run_client(daemon, "calls", "--columns", "start_time", env={"TZ": "Asia/Kolkata"})
    assert "+05:30" in local.stdout, local.stdout
    utc = run_client(daemon, "--utc", "calls", "--columns", "start_time", env={"TZ": "Asia/Kolkata"})
    assert "+05:30" not in utc.stdout


def test_fault_25_hours_that_come_twice_or_never(redis, make_sim, daemon):
    """The client's local times carry their offset, so that no two of them read the same; a leap second is a time."""
    starts = {"2025-10-26T00:30:00Z": "2025-10-26 02:30:00+02:00", "2025-10-26T01:30:00Z": "2025-10-26 02:30:00+01:00",
              "2025-03-30T00:59:59Z": "2025-03-30 01:59:59+01:00", "2025-03-30T01:00:00Z": "2025-03-30 03:00:00+02:00",
              "2016-12-31T23:59:60Z": "2017-01-01 01:00:00+01:00", "2025-10-26T02:59:60+02:00": "2025-10-26 02:00:00+01:00"}
    for i, start in enumerate(starts):
        redis.client.hset(f"call_ctx:CA{i}", mapping={"start_time": start, "business_id": "b", "from_phone_number": "+14155550132",
                                                             "to_phone_number": "+14155550100"})
        redis.client.set(f"call_heartbeat:CA{i}", str(time.time()))
    daemon.start(config(daemon, redis.url), env={"TZ": "Europe/Berlin"})
    wait_complete(daemon, len(starts))
    assert daemon.instance()["malformed"] == 0
    local = run_client(daemon, "calls", "--columns", "start_time", env={"TZ": "Europe/Berlin"}).stdout
    for i, shown in enumerate(starts.values()):
        assert re.search(f" CA{i} +{re.escape(shown)}$", local, re.M), local
    for zone, shown in {"America/St_Johns": "2025-10-25 22:00:00-02:30", "Asia/Kathmandu": "2025-10-26 06:15:00+05:45", "no/such": "2025-10-26 00:30:00+00:00"}.items():
        assert shown in run_client(daemon, "calls", "CA0", "--columns", "start_time", env={"TZ": zone}).stdout, zone
    assert "2025-10-26 00:30:00Z" in run_client(daemon, "--utc", "calls", "CA0", "--columns", "start_time", env={"TZ": "Europe/Berlin"}).stdout


def test_fault_25_the_clocks_go_back_an_hour(make_tool, daemon, monkeypatch):
    """Everything lives through 2025-10-26 02:59:58 in Berlin, the hour that comes twice: nobody is judged, nothing happens twice or never."""
    if harness.SANITIZED:
        pytest.skip("libfaketime and the sanitizers do not go together")
    change = 1761440400  # 2025-10-26T01:00:00Z
    library = subprocess.run(["sh", "-c", "ls /usr/lib/*/faketime/libfaketime.so.1"], capture_output=True, text=True).stdout.strip()
    back = int(time.time() + 12 - change)  # that long until then
    for name, value in {"LD_PRELOAD": library, "FAKETIME": f"-{back}", "DONT_FAKE_MONOTONIC": "1", "FAKETIME_DONT_FAKE_MONOTONIC": "1",
                        "TZ": "Europe/Berlin"}.items():
        monkeypatch.setenv(name, value)
    fake = make_tool("fakeredis.py", "--keys", 50, "--matching", 50)  # a real server does not run under libfaketime
    daemon.start(config(daemon, fake.url, calls=QUICK + "\n" + OFTEN))
    wait_complete(daemon, 50)
    first, durations = run_client(daemon, "status").stdout, {}
    seen = [run_client(daemon, "calls", "--limit", 1, "--columns", "last_heartbeat").stdout]
    while time.time() - back < change + 5:
        for row in daemon.rows():
            assert row["health_status"] == "healthy" and 0 <= row["heartbeat_age_seconds"] < 4, row
            grown = row["duration_seconds"] - durations.get(row["call_sid"], row["duration_seconds"])
            assert 0 <= grown < 20, "a duration jumped"
            durations[row["call_sid"]] = row["duration_seconds"]
        time.sleep(0.2)
    seen.append(run_client(daemon, "calls", "--limit", 1, "--columns", "last_heartbeat").stdout)
    assert "● healthy" in first and "+02:00" in seen[0] and "+01:00" in seen[1], seen
    assert "02:59:" in seen[0] and "02:00:" in seen[1], seen
    assert not [e for e in daemon.rows("events") if e["kind"] == "transition" and e["subject"].startswith("calls/")]
    stamps = [line.split()[0] for line in daemon.stderr.splitlines() if line.startswith("20")]
    assert stamps and stamps == sorted(stamps) and all(stamp.endswith("Z") for stamp in stamps)


def test_fault_26_odd_times(redis, make_sim, daemon):
    """Without a zone, in milliseconds, in the future, 1970, the year 10000: never a negative duration, never a wrong date."""
    now = time.time()
    starts = {"naive": "2026-01-01T00:00:00", "zone": "2026-01-01T05:30:00+05:30", "future": "2100-01-01T00:00:00Z", "epoch": "1970-01-01T00:00:00Z",
              "y10k": "10000-01-01T00:00:00Z", "ms": "1767225600000", "junk": "soon"}
    for sid, start in starts.items():
        redis.client.hset(f"call_ctx:{sid}", mapping={"start_time": start, "business_id": "b", "from_phone_number": "+14155550132", "to_phone_number": "+14155550100"})
        redis.client.set(f"call_heartbeat:{sid}", str(now))
    daemon.start(config(daemon, redis.url))
    wait_complete(daemon, len(starts))
    rows = {r["call_sid"]: r for r in daemon.rows()}
    assert rows["naive"]["start_time"] == rows["zone"]["start_time"] == "2026-01-01T00:00:00.000Z"
    assert rows["future"]["duration_seconds"] == 0 and rows["epoch"]["duration_seconds"] > 1e9
    for sid in ("y10k", "ms", "junk"):
        assert rows[sid]["start_time"] is None and rows[sid]["duration_seconds"] is None
    daemon.wait_malformed(4)


def test_fault_62_a_name_that_does_not_resolve(redis, make_sim, daemon):
    make_sim(redis.url, "--calls", 10, "--beat", "1s")
    daemon.start(config(daemon, redis.url, more="- plugin: redis-calls\n  name: lost\n  url: \"redis://no-such-host.invalid:6379/0\"\n"))
    wait_complete(daemon, 10)
    daemon.wait_state("down", "no-such-host.invalid", name="lost")
    assert daemon.state()[0] == "up"
    assert daemon.total() == 10
