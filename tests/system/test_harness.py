# SPDX-License-Identifier: MIT
"""The test aids themselves: a fault that does not happen would make every test of it pass."""

import time

import pytest
import redis as redis_module

import harness
import oracle


def connect(url):
    return redis_module.Redis.from_url(url, socket_timeout=0.5)


def get_without_retry(proxy, key):
    connection = redis_module.connection.Connection(port=int(proxy.url.rsplit(":", 1)[1]), socket_timeout=1)
    connection.send_command("GET", key)
    return connection.read_response()


def test_the_same_seed_gives_the_same_calls(redis, make_sim):
    seen = []
    for _ in range(2):
        redis.client.flushall()
        make_sim(redis.url, "--calls", 50, "--seed", 5, "--load-only")
        seen.append({sid: c.columns for sid, c in oracle.read_all(redis.client).items()})
    assert seen[0] == seen[1] and len(seen[0]) == 50


def test_callsim_ends_calls_and_kills_workers(redis, make_sim):
    sim = make_sim(redis.url, "--calls", 80, "--beat", "1s", "--workers", 4)
    assert sim.say("end 30") == 30
    assert len(oracle.read_sids(redis.client)) == 50
    killed = sim.say("kill-worker ai-1")
    status = sim.status()
    assert 0 < killed < 50 and status["crashed"] == killed and status["beating"] == 50 - killed
    assert len(oracle.read_sids(redis.client)) == 50


def test_callsim_comes_back_when_redis_does(redis, make_sim):
    sim = make_sim(redis.url, "--calls", 20, "--beat", "1s")
    redis.restart(empty=True)
    harness.wait_for(lambda: sim.say("rewrite") == 20 and len(oracle.read_sids(redis.client)) == 20)


def test_proxy_delays_cuts_and_loses(redis, proxy):
    redis.client.set("a", "b" * 1000)
    assert connect(proxy.url).get("a") == b"b" * 1000
    assert proxy.say("cut-down 500") == "ok"
    with pytest.raises(redis_module.exceptions.ConnectionError):
        get_without_retry(proxy, "a")
    proxy.say("blackhole")
    with pytest.raises(redis_module.exceptions.TimeoutError):
        connect(proxy.url).ping()
    proxy.say("pass")
    assert connect(proxy.url).ping()


def test_proxy_drops_whole_messages_only(redis, proxy):
    subscriber = connect(proxy.url).pubsub()
    subscriber.subscribe("x")
    assert subscriber.get_message(timeout=2)["type"] == "subscribe"
    proxy.say("drop-pubsub 50")
    for i in range(200):
        redis.client.publish("x", f"message {i}")
    redis.client.publish("x", "x" * 70000)
    harness.wait_for(lambda: redis.client.ping())
    got = []
    end = time.monotonic() + 3
    while time.monotonic() < end and len(got) + proxy.stats()["dropped"] < 201:
        message = subscriber.get_message(timeout=0.2)
        if message:
            got.append(message["data"])
    dropped = proxy.stats()["dropped"]
    assert len(got) + dropped == 201 and 50 < dropped < 150


def test_fakeredis_pages_and_lies(make_tool):
    fake = make_tool("fakeredis.py", "--keys", 10000, "--matching", 500)
    client = connect(fake.url)
    assert len(set(client.scan_iter("call_ctx:*", count=1000))) == 500
    fake.say("lie SCAN garbage")
    with pytest.raises(redis_module.exceptions.RedisError):
        client.scan()
    fake.say("loading")
    with pytest.raises(redis_module.exceptions.RedisError):
        connect(fake.url).ping()
    assert fake.stats()["commands"]["SCAN"] >= 10


def test_oracle_reads_formats():
    assert oracle.stamp(oracle.parse_time("2025-10-26T12:00:00.123+05:30")) == "2025-10-26T06:30:00.123Z"
    assert oracle.parse_time("2025-02-30T00:00:00Z") is None and oracle.parse_time("yesterday") is None
    assert oracle.parse_unix(b"1e999999") is None and oracle.parse_unix(b"0.000") == 0
    assert oracle.mask("+14155550132") == "+1\u2022\u2022\u2022\u2022\u2022\u20220132"
    assert oracle.utf8(b"a\xe2\x82z\0") == "a\ufffd\ufffdz\u2400"
