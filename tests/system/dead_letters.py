# SPDX-License-Identifier: MIT
"""Dead letters as the platform writes them, and what table dlq should say of them: an oracle that knows nothing of the plugin's code.

A queue is a list, a stream or a sorted set; Queue hides which. The oracle reads all of it and says for each distinct message how the row should
look, or which states it may have while the time is near a border.
"""

import collections
import hashlib
import json
import random
import time
from datetime import datetime, timezone

KEY = "call_logs_dlq_list"
KINDS = ("list", "stream", "zset")
ERRORS = ("connection to 10.0.{n}.7:5432 refused", "timeout after {n} ms writing call CA{n:032x}", "duplicate key value '{n}' for +1415555{n:04d}",
          "HTTP 503 from http://backend-{n}:8000/calls at 2026-11-25T10:{m:02d}:00Z", "HTTP 409: conflict on 3f2504e0-4f89-11d3-9a0c-{n:012x}")


def iso(seconds, zone="Z"):
    return datetime.fromtimestamp(seconds, timezone.utc).strftime("%Y-%m-%dT%H:%M:%S.%f") + zone


def message(i, error=None, due=None, retry_count=0, **more):
    error = ERRORS[i % len(ERRORS)].format(n=i % 1000, m=i % 60) if error is None else error
    return json.dumps({"call_sid": f"CA{i:032x}", "action": "create" if i % 3 else "update", "retry_count": retry_count, "max_retries": 3,
                       "error": error, "next_retry_at": iso(time.time() + 3600 if due is None else due),
                       "original_data": {"business_id": f"b-{i % 7}", "big": 12345678901234567890}, **more}).encode()


class Queue:
    def __init__(self, redis, kind, key=KEY):
        self.redis, self.kind, self.key = redis, kind, key
        self.random = random.Random(7)

    def push(self, *messages, score=None):
        pipe = self.redis.pipeline(transaction=False)
        for raw in messages:
            if self.kind == "list":
                pipe.rpush(self.key, raw)
            elif self.kind == "stream":
                pipe.xadd(self.key, {"data": raw})
            else:
                pipe.zadd(self.key, {raw: self.random.uniform(1.7e9, 1.8e9) if score is None else score})
        pipe.execute()

    def all(self):
        """The messages, from the end that is oldest."""
        if self.kind == "list":
            return self.redis.lrange(self.key, 0, -1)
        if self.kind == "stream":
            return [fields[b"data"] for _, fields in self.redis.xrange(self.key)]
        return self.redis.zrange(self.key, 0, -1)

    def take_any(self):
        """Removes one from anywhere, as a consumer might; its message, or None."""
        n = self.depth()
        if not n:
            return None
        i = self.random.randrange(n)
        if self.kind == "list":
            raw = self.redis.lindex(self.key, i)
            return raw if raw is not None and self.redis.lrem(self.key, 1, raw) else None
        if self.kind == "stream":
            entry = self.redis.xrange(self.key, count=min(i + 1, 50))[-1]
            return entry[1][b"data"] if self.redis.xdel(self.key, entry[0]) else None
        raw = self.redis.zrange(self.key, i, i)
        return raw[0] if raw and self.redis.zrem(self.key, raw[0]) else None

    def take_first(self):
        """The oldest, as a retrier that works in order does."""
        if self.kind == "list":
            return self.redis.lpop(self.key)
        if self.kind == "stream":
            entries = self.redis.xrange(self.key, count=1)
            return entries[0][1][b"data"] if entries and self.redis.xdel(self.key, entries[0][0]) else None
        popped = self.redis.zpopmin(self.key)
        return popped[0][0] if popped else None

    def depth(self):
        return {"list": self.redis.llen, "stream": self.redis.xlen, "zset": self.redis.zcard}[self.kind](self.key)

    def name(self, raw):
        return hashlib.sha1(b"data\0" + raw if self.kind == "stream" else raw).hexdigest()


def state(raw, now):
    letter = json.loads(raw)
    if letter["retry_count"] >= letter["max_retries"]:
        return "failed"
    due = datetime.fromisoformat(letter["next_retry_at"].replace("Z", "+00:00")).timestamp()
    return "overdue" if due <= now else "waiting"


def differences(queue, rows, window=None, slack=3.0):
    """What is wrong with the rows, as sentences; the queue must stand still."""
    messages = queue.all()
    if window is not None:
        messages = messages[-window:]
    copies, now = collections.Counter(messages), time.time()
    expected, by_id, wrong = {queue.name(raw): raw for raw in copies}, {row["id"]: row for row in rows}, []
    wrong += [f"{name}: in the queue, not in the table" for name in expected.keys() - by_id.keys()]
    wrong += [f"{name}: in the table, not in the queue" for name in by_id.keys() - expected.keys()]
    for name in expected.keys() & by_id.keys():
        raw, row = expected[name], by_id[name]
        letter = json.loads(raw)
        for column, value in (("copies", copies[raw]), ("call_sid", letter["call_sid"]), ("action", letter["action"]),
                              ("retry_count", letter["retry_count"]), ("retry_status", f"{letter['retry_count']}/{letter['max_retries']}")):
            if row[column] != value:
                wrong.append(f"{name}: {column} is {row[column]!r}, should be {value!r}")
        if row["state"] not in (state(raw, now - slack), state(raw, now + slack)):
            wrong.append(f"{name}: state is {row['state']}, should be {state(raw, now)}")
    return wrong
