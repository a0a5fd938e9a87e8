# SPDX-License-Identifier: MIT
"""Dead letters that are awkward to move: very many copies, very many fields, very long, equal to what is there, or where they may not go.

Each is moved whole, or stays whole, and the outcome says which."""

import collections
import json
import time

import pytest

from dead_letters import KEY, Queue, message
from harness import UnixConnection
from test_dlq import config
from test_dlq_actions import ALLOW, TRASH, act, outcomes, settle, sid, wait_task


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


def test_ten_thousand_copies_in_a_stream_are_moved_once_each(redis, daemon):
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
