# SPDX-License-Identifier: MIT
"""Dead letters are retried, dropped and restored: no message is lost, none is doubled, and each has an outcome.

Each message has a call_sid of its own, so the books are a count of call_sids over everywhere a message can be."""

import collections
import json
import re
import signal
import threading
import time

import pytest

from dead_letters import KEY, KINDS, Queue, message
from harness import BUILD, LARGE, UnixConnection, run_client, wait_for
from test_dlq import config, metric, wait_equal

TRASH = KEY + ":callwatch_trash"
ALLOW = "allow_actions: true\n"


def act(daemon, action, expect=202, **body):
    connection = UnixConnection(daemon.socket, 20)
    try:
        connection.request("POST", f"/api/v1/actions/dlq/{action}", body=json.dumps(body), headers={"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = answer.read()
        assert answer.status == expect, (answer.status, data)
        return json.loads(data)
    finally:
        connection.close()


def task(daemon, started):
    return daemon.get(f"/api/v1/tasks/{started['task_id']}")


def wait_task(daemon, started, state="success", deadline=30):
    def over():
        return task(daemon, started)["task"]["state"] not in ("queued", "running")

    wait_for(over, deadline, what="the task to end")
    found = task(daemon, started)
    assert found["task"]["state"] == state, found["task"]
    return found


def outcomes(found):
    return collections.Counter(outcome["outcome"] for outcome in found["outcomes"])


def sid(i):
    return f"CA{i:032x}"


def in_queue(queue):
    return collections.Counter(json.loads(raw)["call_sid"] for raw in queue.all())


def in_trash(redis):
    return collections.Counter(json.loads(re.search(rb"\{\"call_sid\".*", member, re.S)[0])["call_sid"] for member in redis.zrange(TRASH, 0, -1))


def settle(daemon, queue, n):
    """Until the table has all."""
    daemon.wait_total(n, table="dlq")
    wait_equal(queue, daemon)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_retry_by_reset_changes_two_members_and_nothing_else(redis, daemon, kind):
    queue, due = Queue(redis.client, kind), time.time() + 3600
    before = {sid(i): message(i, retry_count=3, due=due) for i in range(30)}
    queue.push(*before.values(), score=due)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, 30)
    plan = act(daemon, "retry", expect=200, where=["state=failed", "call_sid=~000[0-9]$"], dry_run=True, arguments={"rate": 1000})
    assert plan["count"] == 10
    queue.push(message(5, retry_count=3, error="later"), score=due)  # of the same call, but not in the plan
    found = wait_task(daemon, act(daemon, "retry", plan=plan["plan"]))
    assert outcomes(found) == {"done": 10}
    after = [json.loads(raw) for raw in queue.all()]
    assert collections.Counter(letter["call_sid"] for letter in after) == collections.Counter([*before, sid(5)])
    for letter in after:
        was = json.loads(before[letter["call_sid"]])
        if letter["retry_count"] == 0:
            assert letter["next_retry_at"] <= message_time(time.time() + 1)
            was |= {"retry_count": 0, "next_retry_at": letter["next_retry_at"]}
        assert letter == was or letter["error"] == "later"
    assert sum(letter["retry_count"] == 0 for letter in after) == 10
    if kind == "zset":  # its score is when it is due, and moves with it
        assert len(redis.client.zrangebyscore(KEY, 0, time.time() + 1)) == 10
    wait_equal(queue, daemon)
    assert not [key for key in redis.client.keys() if b"callwatch_task" in key]


def message_time(seconds):
    return json.loads(message(0, due=seconds))["next_retry_at"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_drop_and_restore_bring_back_the_same_bytes(redis, daemon, client, kind):
    queue = Queue(redis.client, kind)
    junk = [b"\x00\xff not json \n\n", b"", b"x" * 100000]
    queue.push(*(message(i) for i in range(20)), *junk)
    before = sorted(queue.all())
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(23, table="dlq")
    wait_task(daemon, act(daemon, "drop", all=True, arguments={"rate": 1000}))
    assert queue.depth() == 0
    daemon.wait_total(23, table="dlq_trash")
    daemon.wait_total(0, table="dlq")
    rows = daemon.rows("dlq_trash", columns="id,call_sid,action,dropped_at,dropped_by,raw")
    assert {row["call_sid"] for row in rows} == {sid(i) for i in range(20)} | {None}
    assert all(row["dropped_by"] and row["dropped_at"] for row in rows)
    found = wait_task(daemon, act(daemon, "restore", all=True, arguments={"rate": 1000}))
    assert outcomes(found) == {"done": 23}
    assert sorted(queue.all()) == before and not redis.client.exists(TRASH)
    daemon.wait_total(23, table="dlq")
    daemon.wait_total(0, table="dlq_trash")


def test_copies_go_together(redis, daemon):
    queue = Queue(redis.client, "list")
    queue.push(message(1, due=1e9), message(2), message(1, due=1e9), message(3), message(1, due=1e9))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(3, table="dlq")
    found = wait_task(daemon, act(daemon, "drop", where=["copies=3"]))
    assert [outcome["text"] for outcome in found["outcomes"]] == ["3 copies"]
    assert in_queue(queue) == {sid(2): 1, sid(3): 1}
    daemon.wait_total(1, table="dlq_trash")
    wait_task(daemon, act(daemon, "restore", all=True))
    assert in_queue(queue) == {sid(1): 3, sid(2): 1, sid(3): 1}


@pytest.mark.parametrize("kind", KINDS)
def test_retry_by_push_and_by_publish(redis, daemon, kind):
    queue = Queue(redis.client, kind)
    raws = [message(i) for i in range(10)] + [b"not json"]
    queue.push(*raws)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(11, table="dlq")
    wait_task(daemon, act(daemon, "retry", where=["state=unreadable"], arguments={"mode": "push", "to": "work"}))
    assert redis.client.lrange("work", 0, -1) == [b"not json"] and queue.depth() == 10
    found = wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "publish", "to": "calls"}), state="error")
    assert "nobody is subscribed to calls" in found["task"]["reason"] and queue.depth() == 10
    subscriber = redis.client.pubsub()
    subscriber.subscribe("calls")
    subscriber.get_message(timeout=5)
    wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "publish", "to": "calls", "rate": 1000}))
    heard = [subscriber.get_message(timeout=5)["data"] for _ in range(10)]
    assert sorted(heard) == sorted(raws[:10]) and queue.depth() == 0
    act(daemon, "retry", all=True, expect=404)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_no_message_is_lost_or_doubled_while_another_consumer_works_the_same_queue(redis, daemon, kind):
    n, queue, taken, end = 500 if LARGE else 200, Queue(redis.client, kind), [], threading.Event()
    queue.push(*(message(i, retry_count=3) for i in range(n)))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, n)

    def consume():
        other = Queue(redis.client, kind)
        for i in range(n // 2):
            raw = other.take_first() if i % 2 else other.take_any()
            if raw:
                taken.append(raw)
            other.push(message(10000 + i))
            if end.wait(0.01):
                break

    consumer = threading.Thread(target=consume)
    consumer.start()
    found = wait_task(daemon, act(daemon, "retry", where=["state=failed"], arguments={"rate": 50 if LARGE else 150}), deadline=60)
    end.set()
    consumer.join()
    counts = outcomes(found)
    assert sum(counts.values()) == n and counts["failed"] == counts["unknown"] == 0, counts
    books = in_queue(queue) + collections.Counter(json.loads(raw)["call_sid"] for raw in taken)
    assert all(books[sid(i)] == 1 for i in range(n)), [(i, books[sid(i)]) for i in range(n) if books[sid(i)] != 1][:9]
    retried = {json.loads(raw)["call_sid"] for raw in [*queue.all(), *taken] if json.loads(raw)["retry_count"] == 0}
    assert len(retried & {sid(i) for i in range(n)}) == counts["done"]
    wait_equal(queue, daemon)


@pytest.mark.parametrize("victim", ["callwatchd", "redis"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_books_balance_after_a_kill_in_the_middle(make_redis, make_daemon, kind, victim):
    redis = make_redis(config="appendonly yes\nappendfsync everysec")
    n, queue, daemon = 300, Queue(redis.client, kind), make_daemon()
    queue.push(*(message(i, retry_count=3) for i in range(n)))
    text = config(daemon, redis.url, dlq=ALLOW)
    daemon.start(text)
    settle(daemon, queue, n)
    started = act(daemon, "drop", all=True, arguments={"rate": 200})
    wait_for(lambda: redis.client.zcard(TRASH) > 60, every=0.01, what="some to be moved")
    if victim == "redis":
        redis.process.kill()
        redis.start()
        found = wait_task(daemon, started, deadline=40)
        assert outcomes(found) == {"done": n}
        queue = Queue(redis.client, kind)
        assert queue.depth() == 0 and all(in_trash(redis.client)[sid(i)] == 1 for i in range(n))
    else:
        daemon.process.popen.send_signal(signal.SIGKILL)
        daemon.process.popen.wait()
        books = in_queue(queue) + in_trash(redis.client)
        assert 0 < queue.depth() < n and books == collections.Counter({sid(i): 1 for i in range(n)})
        daemon.socket.unlink(missing_ok=True)
        daemon.start(text)
        found = task(daemon, started)
        assert found["task"]["state"] == "lost" and outcomes(found)["done"] <= n - queue.depth()
        daemon.wait_total(n - queue.depth(), table="dlq_trash")
        daemon.wait_total(queue.depth(), table="dlq")


@pytest.mark.parametrize("kind", KINDS)
def test_each_message_is_moved_once_though_answers_are_lost_with_their_connection(redis, proxy, daemon, kind):
    n, queue = 100, Queue(redis.client, kind)
    queue.push(*(message(i, retry_count=3) for i in range(n)))
    daemon.start(config(daemon, proxy.url, dlq=ALLOW))
    settle(daemon, queue, n)
    proxy.say("delay 0.1")  # so many have been done and not been heard of when the line breaks
    started = act(daemon, "retry", all=True, arguments={"rate": 150})
    for _ in range(2):
        before = len(task(daemon, started)["outcomes"])
        wait_for(lambda: len(task(daemon, started)["outcomes"]) > before + 20, 20, what="some to be moved")
        proxy.say("rst")
    found = wait_task(daemon, started, deadline=60)
    assert outcomes(found) == {"done": n}, outcomes(found)
    assert in_queue(queue) == collections.Counter({sid(i): 1 for i in range(n)})
    assert all(json.loads(raw)["retry_count"] == 0 for raw in queue.all())


def test_cancel_stops_soon_and_what_was_not_touched_stays(redis, daemon, client):
    queue = Queue(redis.client, "list")
    queue.push(*(message(i) for i in range(200)))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, 200)
    started = act(daemon, "drop", all=True, arguments={"rate": 20})
    act(daemon, "drop", all=True, expect=409)
    wait_for(lambda: redis.client.zcard(TRASH) > 3, what="some to be dropped")
    assert client("trigger", "--cancel", started["task_id"]).returncode == 0
    found = wait_task(daemon, started, state="cancelled")
    assert outcomes(found)["done"] == redis.client.zcard(TRASH) == 200 - queue.depth()


def test_retry_stops_by_itself_when_what_was_retried_comes_back(redis, daemon):
    queue, end = Queue(redis.client, "list"), threading.Event()
    queue.push(*(message(i, retry_count=3) for i in range(300)))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, 300)

    def fail_again():
        """A retrier that takes what is due, and fails again."""
        while not end.wait(0.05):
            for raw in redis.client.lrange(KEY, -50, -1):
                letter = json.loads(raw)
                if letter["retry_count"] == 0 and redis.client.lrem(KEY, -1, raw):
                    redis.client.rpush(KEY, json.dumps(letter | {"retry_count": 1}))
                    redis.client.publish("call_logs_dlq", "x")

    retrier = threading.Thread(target=fail_again)
    retrier.start()
    found = wait_task(daemon, act(daemon, "retry", all=True, arguments={"rate": 40, "max_refail": 0.3}), state="error")
    end.set()
    retrier.join()
    assert "stopped by itself" in found["task"]["reason"] and outcomes(found)["done"] < 250
    assert in_queue(queue) == collections.Counter({sid(i): 1 for i in range(300)})


def test_without_permission_nothing_is_done_and_the_command_is_named(redis, daemon, client):
    queue = Queue(redis.client, "list")
    queue.push(*(message(i) for i in range(3)))
    lines = [line.strip() for line in client("plugins", BUILD / "plugins/dlq.so").stdout.splitlines() if "ACL SETUSER" in line]
    redis.client.execute_command(*lines[0].replace(">PASSWORD", ">secret").split())
    text = config(daemon, redis.url, dlq="username: callwatch\npassword: secret\n")
    daemon.start(text)
    settle(daemon, queue, 3)
    assert "allow_actions" in act(daemon, "drop", all=True, expect=403)["detail"]
    daemon.configure(config(daemon, redis.url, dlq=ALLOW + "username: callwatch\npassword: secret\n"))
    run_client(daemon, "reload")
    wait_for(lambda: daemon.state("dlq")[0] == "up" and daemon.total("dlq") == 3, what="the instance")
    found = wait_task(daemon, act(daemon, "drop", all=True), state="error")
    assert "(NOPERM)" in found["task"]["reason"] and queue.depth() == 3


@pytest.mark.parametrize("kind", KINDS)
def test_the_rights_that_the_plugin_names_for_actions_suffice(redis, daemon, client, kind):
    queue = Queue(redis.client, kind)
    queue.push(*(message(i) for i in range(6)))
    for line in client("plugins", BUILD / "plugins/dlq.so").stdout.splitlines():
        if "ACL SETUSER" in line:
            redis.client.execute_command(*line.strip().replace(">PASSWORD", ">secret").split())
    daemon.start(config(daemon, redis.url, dlq=ALLOW + "username: callwatch\npassword: secret"))
    settle(daemon, queue, 6)
    wait_task(daemon, act(daemon, "retry", where=["call_sid=~00[01]$"]))
    wait_equal(queue, daemon)
    wait_task(daemon, act(daemon, "drop", all=True))
    daemon.wait_total(6, table="dlq_trash")
    wait_task(daemon, act(daemon, "restore", all=True))
    assert queue.depth() == 6
    assert redis.client.acl_log() == []


def test_the_client_shows_what_a_retry_of_a_group_would_do_and_does_it(redis, daemon, client):
    queue = Queue(redis.client, "list")
    queue.push(*(message(i, retry_count=3) for i in range(50)))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, 50)
    group = "error_group=HTTP 503 from <url> at <time>"
    wait_for(lambda: daemon.total("dlq", where=group) == 10, what="the group")
    dry = client("trigger", "dlq", "retry", "--where", group, "--dry-run")
    assert dry.returncode == 0 and "10 of 50" in dry.stdout, dry.stdout + dry.stderr
    done = client("trigger", "dlq", "retry", "rate=500", "--where", group, "--yes", "--wait")
    assert done.returncode == 0, done.stdout + done.stderr
    assert sum(json.loads(raw)["retry_count"] == 0 for raw in queue.all()) == 10
    wait_for(lambda: metric(daemon, "dlq_depth") == 50, what="the depth")
