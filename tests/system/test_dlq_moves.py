# SPDX-License-Identifier: MIT
"""Dead letters that are awkward to move: very many copies, very many fields, very long, equal to what is there, or where they may not go.

Each is moved whole, or stays whole, and the outcome says which."""

import json
import time

import pytest

from dead_letters import KEY, KINDS, Queue, message
from harness import run_client, wait_for
from test_dlq import config
from test_dlq_actions import ALLOW, TRASH, act, in_queue, outcomes, settle, sid, wait_task


def texts(found):
    return {outcome["text"] for outcome in found["outcomes"]}


def trashed(i):
    """A member of the trash, as a drop leaves it."""
    raw = message(i)
    return b"callwatch1 %040x list 1 - 1 %d task alice\n" % (i, len(raw)) + raw


def test_what_is_in_the_trash_is_never_gone_though_the_trash_is_read_all_the_time(redis, daemon):
    n, now = 4000, time.time()
    redis.client.zadd(TRASH, {trashed(i): now + i / 1000 for i in range(n)})
    redis.client.rpush(KEY, message(n))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(n, table="dlq_trash")
    found = wait_task(daemon, act(daemon, "restore", all=True, arguments={"rate": 10000}), deadline=60)
    assert outcomes(found).keys() == {"done"}, outcomes(found)
    assert not redis.client.exists(TRASH) and redis.client.llen(KEY) == n + 1
    daemon.wait_total(0, table="dlq_trash")


def test_a_restore_of_what_another_restored_meanwhile_says_gone(redis, daemon):
    redis.client.zadd(TRASH, {trashed(i): time.time() for i in range(20)})
    redis.client.rpush(KEY, message(99))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(20, table="dlq_trash")
    started = act(daemon, "restore", all=True, arguments={"rate": 10})
    redis.client.zremrangebyrank(TRASH, 0, -1)
    found = wait_task(daemon, started, deadline=60)
    assert outcomes(found)["gone"] >= 10 and sum(outcomes(found).values()) == 20


def test_nine_thousand_copies_in_a_stream_are_moved_once_each(redis, daemon):
    n, queue = 9000, Queue(redis.client, "stream")
    queue.push(*[message(1, retry_count=3, due=time.time() + 3600)] * n)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(1, table="dlq", where="copies=9000")
    found = wait_task(daemon, act(daemon, "retry", all=True))
    assert outcomes(found) == {"done": 1} and queue.depth() == n
    assert all(json.loads(raw)["retry_count"] == 0 for raw in queue.all())
    daemon.wait_total(1, table="dlq", where=["copies=9000", "retry_count=0"])
    wait_task(daemon, act(daemon, "drop", all=True))
    assert queue.depth() == 0
    daemon.wait_total(1, table="dlq_trash")
    wait_task(daemon, act(daemon, "restore", all=True))
    assert queue.depth() == n


def fields_of(i, n):
    return {"call_sid": sid(i), "action": "create", **{f"f{j}": "x" for j in range(n - 2)}}


def test_an_entry_of_many_fields_comes_back_from_the_trash_or_never_goes_there(redis, daemon):
    redis.client.xadd(KEY, fields_of(1, 40))
    redis.client.xadd(KEY, fields_of(2, 128))
    redis.client.xadd(KEY, fields_of(3, 129))
    before = redis.client.xrange(KEY)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(3, table="dlq")
    found = wait_task(daemon, act(daemon, "drop", all=True))
    assert outcomes(found) == {"done": 2, "failed": 1} and "it has more fields than can be moved (128)" in texts(found)
    daemon.wait_total(2, table="dlq_trash")
    assert redis.client.xrange(KEY) == before[2:]
    assert outcomes(wait_task(daemon, act(daemon, "restore", all=True))) == {"done": 2}
    daemon.wait_total(3, table="dlq")
    found = wait_task(daemon, act(daemon, "retry", all=True))
    assert outcomes(found) == {"done": 2, "failed": 1} and "it has more fields than can be moved (128)" in texts(found)
    assert sorted(fields[b"call_sid"] for _, fields in redis.client.xrange(KEY)) == sorted(fields[b"call_sid"] for _, fields in before)


def test_an_entry_that_is_itself_the_message_and_very_long_is_moved_whole_or_not_at_all(redis, daemon):
    redis.client.xadd(KEY, {"call_sid": sid(1), "error": "x" * (3 << 20)})
    before = redis.client.xrange(KEY)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(1, table="dlq", where="state=unreadable")
    found = wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "push", "to": "work"}))
    assert outcomes(found) == {"failed": 1} and texts(found) == {"it is over 2 MB; push it to a stream"}
    assert redis.client.xrange(KEY) == before and not redis.client.exists("work")
    redis.client.xadd("stream", {"a": "b"})
    assert outcomes(wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "push", "to": "stream"}))) == {"done": 1}
    assert redis.client.xrange("stream")[1][1] == before[0][1] and redis.client.xlen(KEY) == 0


def test_in_a_sorted_set_two_messages_never_become_one(redis, daemon):
    queue, due = Queue(redis.client, "zset"), time.time() + 3600
    letters = [json.loads(message(1, retry_count=count, due=due)) for count in (2, 3)]
    for letter in letters:
        letter["next_retry_at"] = None
    queue.push(*(json.dumps(letter).encode() for letter in letters), score=due)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(2, table="dlq")
    found = wait_task(daemon, act(daemon, "retry", all=True))
    assert outcomes(found) == {"done": 1, "failed": 1} and "the very same message is there already, and a sorted set has it once" in texts(found)
    assert in_queue(queue) == {sid(1): 2}
    daemon.wait_total(2, table="dlq")
    wait_task(daemon, act(daemon, "drop", where=["retry_count=0"]))
    daemon.wait_total(1, table="dlq_trash")
    queue.push(json.dumps(letters[0] | {"retry_count": 0}).encode(), score=due)
    assert outcomes(wait_task(daemon, act(daemon, "restore", all=True))) == {"failed": 1}
    assert redis.client.zcard(TRASH) == 1


def test_copies_are_not_pushed_into_a_sorted_set(redis, daemon):
    queue = Queue(redis.client, "list")
    queue.push(*[message(1)] * 3)
    redis.client.zadd("work", {"x": 1})
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(1, table="dlq", where="copies=3")
    found = wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "push", "to": "work"}))
    assert outcomes(found) == {"failed": 1} and queue.depth() == 3 and redis.client.zcard("work") == 1


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_published_to_somebody_who_does_not_take_it_can_be_restored(redis, daemon, kind):
    queue = Queue(redis.client, kind)
    queue.push(*(message(i) for i in range(5)))
    before = sorted(queue.all())
    monitor = redis.client.pubsub()
    monitor.subscribe("calls")
    monitor.get_message(timeout=5)
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(5, table="dlq")
    wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "publish", "to": "calls"}))
    daemon.wait_total(5, table="dlq_trash")
    assert queue.depth() == 0
    wait_task(daemon, act(daemon, "restore", all=True))
    assert sorted(queue.all()) == before
    daemon.wait_total(5, table="dlq")
    monitor.close()
    wait_for(lambda: redis.client.pubsub_numsub("calls")[0][1] == 0, what="nobody to be subscribed")
    wait_task(daemon, act(daemon, "retry", all=True, arguments={"mode": "publish", "to": "calls"}), state="error")
    assert sorted(queue.all()) == before and not redis.client.exists(TRASH)


@pytest.mark.parametrize("mode, to, reason", [
    ("push", KEY, "push moves to another key"), ("push", TRASH, "push moves to another key"),
    ("publish", "call_logs_dlq", "the channel on which arrivals are told"), ("push", None, "need `to`")])
def test_where_messages_may_not_go_is_refused(redis, daemon, mode, to, reason):
    queue = Queue(redis.client, "list")
    queue.push(message(1))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    settle(daemon, queue, 1)
    arguments = {"mode": mode, **({"to": to} if to else {})}
    assert reason in wait_task(daemon, act(daemon, "retry", all=True, arguments=arguments), state="error")["task"]["reason"]
    assert queue.depth() == 1
    options = f"retry: {{ mode: {mode}, to: {to} }}" if to else f"retry: {{ mode: {mode} }}"
    daemon.configure(config(daemon, redis.url, dlq=options))
    refused = run_client(daemon, "reload")
    assert refused.returncode != 0 and reason in refused.stdout + refused.stderr


def test_the_trash_is_not_the_queue_itself(redis, daemon):
    daemon.start(config(daemon, redis.url))
    daemon.configure(config(daemon, redis.url, dlq=f"trash_key: {KEY}"))
    refused = run_client(daemon, "reload")
    assert refused.returncode != 0 and "the trash cannot be the queue itself" in refused.stdout + refused.stderr


def test_an_error_in_the_middle_of_a_move_has_an_outcome_that_is_not_known(make_redis, daemon):
    redis = make_redis(config='rename-command LREM ""')
    redis.client.rpush(KEY, message(1))
    daemon.start(config(daemon, redis.url, dlq=ALLOW))
    daemon.wait_total(1, table="dlq")
    found = wait_task(daemon, act(daemon, "drop", all=True), state="error")
    assert outcomes(found) == {"unknown": 1} and found["task"]["reason"]
