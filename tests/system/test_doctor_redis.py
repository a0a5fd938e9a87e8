# SPDX-License-Identifier: MIT
"""The rungs of redis-calls, each broken in turn on a real Redis; and its ACL line, with which a daemon lives its whole life."""

import json
import re
import signal
import socket
import subprocess
import threading

import pytest

from harness import BIN, BUILD, config, free_port, wait_for

LOWER = ["name", "tcp", "tls", "auth"]
RUNGS = ["loop", "state", "readings", *LOWER, "rights", "round-trip", "clock", "subscribers", "beats", "sweep", "keyspace", "data"]


def examine(client, code):
    """check → (verdict, text) of instance calls, and the broken rung of it or None."""
    done = client("doctor", "calls", "--format", "json", timeout=60)
    assert done.returncode == code, done.stdout + done.stderr
    document = json.loads(done.stdout)
    checks = {c["check"]: (c["verdict"], c["text"]) for c in document["instances"][1]["checks"]}
    assert list(checks) == RUNGS
    return checks, document["broken"][0]["check"] if document["broken"] else None


def assert_broken_at(client, rung, text, verdicts_before="ok"):
    """The rung has failed with this text, the plugin's rungs before it hold, those after it were not tried."""
    checks, broken = examine(client, code=1)
    assert broken == rung, checks
    assert text in checks[rung][1]
    at = RUNGS.index(rung)
    assert {checks[r][0] for r in RUNGS[3:at]} <= {verdicts_before}
    assert {checks[r][0] for r in RUNGS[at + 1:]} <= {"skipped"}
    return checks


@pytest.mark.sanitize
def test_every_rung_of_a_sound_redis_holds_and_says_what_was_seen(redis, make_sim, daemon, client):
    make_sim(redis.url, "--calls", 40, "--beat", "1s")
    daemon.start(config(daemon, redis.tcp_url, calls="sweep: { max_age: 4s }"))
    wait_for(lambda: examine(client, code=0)[0]["beats"][1].startswith(tuple("123456789")), 20)
    checks, broken = examine(client, code=0)
    assert broken is None
    assert {verdict for verdict, _ in checks.values()} == {"ok"}, checks
    texts = {check: text for check, (_, text) in checks.items()}
    assert f"port {redis.port}" in texts["tcp"]
    assert texts["auth"].startswith("user default without a password, database 0")
    assert "all 10 commands" in texts["rights"]
    assert "median of 5" in texts["round-trip"]
    assert "1 subscriber on call_heartbeat with us" in texts["subscribers"]
    assert "of 40 calls 100.0 % are confirmed" in texts["sweep"]
    assert "Redis has them off" in texts["keyspace"]
    redis.client.config_set("notify-keyspace-events", "KA")
    redis.client.set("call_ctx:no-hash", 1)
    wait_for(lambda: examine(client, code=0)[0]["data"][0] == "warning", 60)
    wait_for(lambda: examine(client, code=0)[0]["keyspace"][1].startswith("on:"), 60)


def test_a_name_nobody_knows(daemon, client):
    daemon.start(config(daemon, "redis://no-such-host.invalid:6379"), wait=False)
    daemon.wait_state("down")
    assert_broken_at(client, "name", "no-such-host.invalid")


def test_a_port_nobody_listens_on_and_a_redis_that_is_frozen(redis, daemon, client):
    daemon.start(config(daemon, f"redis://127.0.0.1:{free_port()}"), wait=False)
    daemon.wait_state("down", "is it the right port?")
    assert_broken_at(client, "tcp", "connection refused (127.0.0.1:")
    daemon.stop()

    daemon.start(config(daemon, redis.tcp_url))
    redis.freeze()
    try:
        assert_broken_at(client, "auth", "from Redis: it is frozen or busy")  # the kernel accepts for it
    finally:
        redis.thaw()
    wait_for(lambda: client("doctor", "calls").returncode == 0, 30)


def test_a_password_that_is_missing_or_wrong(make_redis, daemon, client):
    redis = make_redis(start=False)
    redis.config, redis.password = "requirepass right-secret-1", "right-secret-1"
    redis.start()
    daemon.start(config(daemon, redis.url))
    assert_broken_at(client, "auth", "set password_file")
    daemon.configure(config(daemon, redis.url, calls="password: wrong-secret-2"))
    assert client("reload").returncode == 0
    checks = assert_broken_at(client, "auth", "WRONGPASS")
    assert "secret-" not in json.dumps(checks) + daemon.stderr


def test_what_is_no_redis_and_what_speaks_no_tls(daemon, client, redis):
    server = socket.create_server(("127.0.0.1", 0))

    def greet():
        while True:
            try:
                peer, _ = server.accept()
            except OSError:
                return
            peer.sendall(b"220 mail.example.net ESMTP\r\n")
            peer.close()

    threading.Thread(target=greet, daemon=True).start()
    daemon.start(config(daemon, f"redis://127.0.0.1:{server.getsockname()[1]}"), wait=False)
    daemon.wait_state("down")
    assert_broken_at(client, "auth", "is this a Redis?")
    server.close()
    daemon.configure(config(daemon, redis.tcp_url.replace("redis://", "rediss://")))
    assert client("reload").returncode == 0
    checks = assert_broken_at(client, "tls", "")
    assert "TLS" in checks["tls"][1]


def acl_user(redis, *rules):
    redis.client.execute_command("ACL", "SETUSER", "watcher", "reset", "on", ">pass-4711", "~*", "&*", *rules)
    return "username: watcher\npassword: pass-4711"


def test_rights_that_are_needed_and_rights_that_help(redis, daemon, client):
    daemon.start(config(daemon, redis.url, calls=acl_user(redis, "+@all", "-hmget", "-getrange")))
    assert_broken_at(client, "rights", "grant +hmget +getrange")
    acl_user(redis, "+@all", "-pubsub")
    daemon.wait_state("up", deadline=45)
    checks, broken = examine(client, code=0)
    assert broken is None and checks["rights"][0] == "warning" and "+pubsub|numsub" in checks["rights"][1]
    acl_user(redis, "+@all", "-subscribe")
    daemon.wait_state("degraded", "no pub/sub", deadline=45)
    assert_broken_at(client, "subscribers", "SUBSCRIBE", verdicts_before="ok")


def test_a_clock_that_is_off_is_said_and_breaks_nothing(make_tool, daemon, client):
    fake = make_tool("fakeredis.py", "--keys", 20, "--matching", 10)
    fake.say("clock 90")
    daemon.start(config(daemon, fake.url))
    checks, _ = examine(client, code=0 if daemon.state()[0] == "up" else 1)
    assert checks["clock"][0] == "warning"
    assert re.search(r"(90|89\.9)\.?\d* s ahead of ours", checks["clock"][1]), checks["clock"]


# ---- the rights that the plugin asks for ----


def acl_line():
    shown = subprocess.run([str(BIN / "callwatch"), "plugins", f"{BUILD}/plugins/redis-calls.so"], capture_output=True, text=True, check=True).stdout
    return re.search(r"ACL SETUSER .*", shown)[0].split()


@pytest.mark.sanitize
def test_the_acl_line_suffices_for_a_whole_life(make_redis, make_sim, daemon, client):
    """Start, sweeps, heartbeats, births and ends, doctor, signals, a reload, a Redis that restarts, a stop: nothing is ever refused."""
    line = acl_line()
    redis = make_redis(config="notify-keyspace-events KA")
    redis.client.execute_command(*line)
    refusals = []

    def no_refusal():
        refusals.extend(redis.client.execute_command("ACL", "LOG"))
        assert not refusals, refusals

    sim = make_sim(redis.url, "--calls", 30, "--beat", "1s", "--rate", 2)
    user = f"username: {line[2]}\npassword: PASSWORD\nsweep: {{ max_age: 4s }}"
    daemon.start(config(daemon, redis.url, calls=user))
    daemon.wait_state("up")
    wait_for(lambda: daemon.rows("channels", where="channel=call_heartbeat")[0]["messages"] > 30)
    checks, broken = examine(client, code=0)
    assert broken is None and {verdict for verdict, _ in checks.values()} == {"ok"}, checks
    assert checks["keyspace"][1].startswith("on:")
    for number in (signal.SIGUSR1, signal.SIGUSR2):
        daemon.process.send(number)
    daemon.configure(config(daemon, redis.url, calls=user + "\nwarning_after: 50s"))
    assert client("reload").returncode == 0
    daemon.wait_state("up")
    no_refusal()
    sim.stop()
    redis.stop()
    daemon.wait_state("down")
    redis.start()
    redis.client.execute_command(*line)
    daemon.wait_state("up", deadline=60)
    wait_for(lambda: examine(client, code=0)[1] is None, 30)
    daemon.stop()
    refused = [entry for entry in redis.client.execute_command("ACL", "LOG") if b"auth" not in (entry[3], entry[5])]
    assert not refused, refused  # before the user was made again, signing in was
