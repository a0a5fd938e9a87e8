# SPDX-License-Identifier: MIT
"""The test aids themselves: a fault that does not happen would make every test of it pass."""

import subprocess
import time

import pytest
import redis as redis_module

import harness
import oracle


def connect(url, timeout=10):
    return redis_module.Redis.from_url(url, socket_timeout=timeout)


def get_without_retry(proxy, key):
    connection = redis_module.connection.Connection(port=int(proxy.url.rsplit(":", 1)[1]), socket_timeout=10)
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


def ids_of(businesses):
    return {b["id"] for b in businesses}


def test_callsim_writes_the_businesses_of_its_calls(redis, postgres, make_sim):
    make_sim(redis.url, "--postgres", postgres.url, "--calls", 2000, "--businesses", 60, "--seed", 5, "--load-only")
    called = {c: redis.client.hget(c, "business_id").decode() for c in redis.client.scan_iter("call_ctx:*", count=1000)}
    rows = postgres.rows("SELECT * FROM businesses")
    assert set(rows[0]) == {"id", "business_name", "primary_business_phone_number", "twilio_phone_number", "industry"}
    assert len(rows) == 57 and len(ids_of(rows)) == 57
    assert len(set(called.values()) - ids_of(rows)) == 3, "three of sixty have no row"
    unnamed = [b for b in rows if not b["business_name"]]
    assert len(unnamed) == 12 and sum(b["business_name"] == "" for b in rows) == 3
    assert sum(b["primary_business_phone_number"] is None for b in unnamed) == 3 == sum(b["primary_business_phone_number"] is None for b in rows)
    assert sum("\t" in (b["business_name"] or "") and "\\ %s {{x}}, l.\n2" in b["business_name"] for b in rows) == 3
    numbers = {b["id"]: b["twilio_phone_number"] for b in rows}
    for key, business in called.items():
        assert business not in numbers or redis.client.hget(key, "to_phone_number").decode() == numbers[business]
    assert postgres.rows("SELECT * FROM call_log") == []


def test_callsim_writes_businesses_again_and_leaves_others(redis, postgres, make_sim):
    def write(seed):
        make_sim(redis.url, "--postgres", postgres.url, "--calls", 0, "--businesses", 40, "--seed", seed, "--load-only")
        return postgres.rows("SELECT * FROM businesses ORDER BY id")

    first = write(5)
    postgres.execute("UPDATE businesses SET business_name = 'changed', industry = 'changed'")
    postgres.execute("INSERT INTO call_log (id, business_id) SELECT gen_random_uuid(), id FROM businesses LIMIT 1")
    assert write(5) == first
    other = write(6)
    assert len(first) == 38 and len(other) == 76 and ids_of(first) < ids_of(other)
    assert len(postgres.rows("SELECT * FROM call_log")) == 1


def test_callsim_says_when_the_database_refuses(redis, postgres, folder):
    postgres.execute("CREATE TABLE businesses (id uuid PRIMARY KEY)")
    for url, why in ((postgres.url, 'column "business_name" does not exist'), (f"postgresql:///x?host={folder}", "No such file or directory")):
        done = subprocess.run([harness.BIN / "callsim", "--redis", redis.url, "--postgres", url, "--load-only"], capture_output=True, text=True)
        assert done.returncode == 1 and why in done.stderr and done.stderr.count("\n") == 1
    assert postgres.rows("SELECT tablename FROM pg_tables WHERE tablename = 'call_log'") == [], "all or nothing"
    assert redis.client.dbsize() == 0


def test_proxy_delays_cuts_and_loses(redis, proxy):
    redis.client.set("a", "b" * 1000)
    assert connect(proxy.url).get("a") == b"b" * 1000
    assert proxy.say("cut-down 500") == "ok"
    with pytest.raises(redis_module.exceptions.ConnectionError):
        get_without_retry(proxy, "a")
    proxy.say("blackhole")
    with pytest.raises(redis_module.exceptions.TimeoutError):
        connect(proxy.url, timeout=0.5).ping()
    proxy.say("pass")
    assert connect(proxy.url).ping()


def test_proxy_drops_whole_messages_only(redis, proxy):
    subscriber = connect(proxy.url).pubsub()
    subscriber.subscribe("x")
    assert subscriber.get_message(timeout=10)["type"] == "subscribe"
    proxy.say("drop-pubsub 50")
    for i in range(200):
        redis.client.publish("x", f"message {i}")
    redis.client.publish("x", "x" * 70000)
    harness.wait_for(lambda: redis.client.ping())
    got = []
    end = time.monotonic() + 20
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
