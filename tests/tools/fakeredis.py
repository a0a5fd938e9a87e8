#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A Redis server that lies on command: for what a real one cannot be made to say.

    fakeredis.py [--keys N] [--matching M] [--listen unix:PATH | 127.0.0.1:PORT]

It has N keys, of which M are `call_ctx:FAKE<number>` with a heartbeat of this moment; SCAN really pages through N. Prints its URL on the first line
of stdout, then takes commands on stdin, one a line, each answered by one line:

    normal                  everything as usual again
    loading                 every command but PING in subscribe mode is answered by -LOADING
    error TEXT              every command is answered by -TEXT
    error-for COMMAND TEXT  that command is
    lie COMMAND KIND        that command is answered by bytes that are wrong: see LIES
    hang COMMAND            that command is never answered
    late COMMAND SECONDS    it is answered that much later, by what was true when it was asked
    keys N | matching M     other numbers from the next SCAN on
    duplicates P            percent of the keys of a page that are given twice
    vanish P                percent of the keys that SCAN gives and HMGET, GET, EXISTS do not know
    run-id TEXT             as INFO says it; `changing`: another each time
    clock SECONDS           its clock, and that of who writes heartbeats, is that far from ours
    notify FLAGS            what CONFIG GET notify-keyspace-events says
    publish CHANNEL TEXT    to those who subscribed
    event NAME KEY          a keyspace event, to those who subscribed by pattern
    stats                   {"connections", "open", "commands": {NAME: count}} as JSON
"""

import argparse
import asyncio
import json
import re
import sys
import time

LIES = {
    "huge-array": b"*2147483647\r\n",
    "huge-array-64": b"*9223372036854775807\r\n",
    "negative-array": b"*-5\r\n",
    "negative-bulk": b"$-5\r\n",
    "huge-bulk": b"$536870912\r\n",  # and then bytes, until the other side has enough
    "bulk-overflow": b"$99999999999999999999\r\n",
    "nested": b"*1\r\n" * 10000 + b":1\r\n",
    "no-crlf": b"$5\r\nhelloXXXX+OK\r\n",
    "no-number": b"*abc\r\n",
    "garbage": bytes(range(256)),
    "http": b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
    "integer": b":12\r\n",
    "nil": b"$-1\r\n",
    "empty-array": b"*0\r\n",
    "wrong-shape": b"*2\r\n*1\r\n:1\r\n:2\r\n",
    "endless-line": b"+" + b"a" * 3_000_000,
    "status": b"+OK\r\n",
}


def bulk(text):
    data = text if isinstance(text, bytes) else str(text).encode()
    return b"$%d\r\n%b\r\n" % (len(data), data)


def array(items):
    return b"*%d\r\n" % len(items) + b"".join(items)


class Fake:
    def __init__(self, keys, matching):
        self.keys, self.matching = keys, matching
        self.everything = None  # the error for every command
        self.errors, self.lies, self.hangs, self.delays = {}, {}, set(), {}
        self.duplicates = self.vanish = 0
        self.clock = 0.0
        self.run_id, self.notify = "f" * 40, ""
        self.connections, self.open = 0, set()
        self.counts = {}
        self.subscribers = {}

    # --- what it knows ---

    def number(self, key):
        """Which call a key is of; None: no such key."""
        found = re.fullmatch(rb"call_(?:ctx|heartbeat):FAKE(\d+)", key)
        if not found:
            return None
        n = int(found[1])
        return n if n < self.matching and not self.gone(n) else None

    def gone(self, n):
        return self.vanish and (n * 7919) % 100 < self.vanish

    def scan(self, words):
        cursor, count, match = int(words[1]), 10, b"*"
        for i in range(2, len(words) - 1):
            if words[i].upper() == b"COUNT":
                count = int(words[i + 1])
            elif words[i].upper() == b"MATCH":
                match = words[i + 1]
        end = min(cursor + count, self.keys)
        first, last = cursor * self.matching // max(1, self.keys), end * self.matching // max(1, self.keys)
        page = [bulk(b"call_ctx:FAKE%08d" % n) for n in range(first, last)] if match.startswith((b"call_ctx", b"*")) else []
        page += page[:len(page) * self.duplicates // 100]
        return array([bulk(0 if end >= self.keys else end), array(page)])

    def field(self, n, name):
        known = {b"business_id": b"00000000-0000-4000-8000-%012d" % (n % 50), b"from_phone_number": b"+1415%07d" % n,
                 b"to_phone_number": b"+14155550100", b"start_time": b"2025-01-01T00:00:00Z"}
        return bulk(known[name]) if name in known else b"$-1\r\n"

    def answer(self, words):
        name = words[0].upper()
        key = words[1] if len(words) > 1 else b""
        n = self.number(key)
        if name == b"SCAN":
            return self.scan(words)
        if name == b"HMGET":
            return array([self.field(n, w) if n is not None else b"$-1\r\n" for w in words[2:]])
        if name in (b"GET", b"GETRANGE"):
            return bulk("%.3f" % (time.time() + self.clock)) if n is not None else (b"$-1\r\n" if name == b"GET" else bulk(""))
        if name == b"MGET":
            return array([bulk("%.3f" % (time.time() + self.clock)) if self.number(w) is not None else b"$-1\r\n" for w in words[1:]])
        if name == b"EXISTS":
            return b":%d\r\n" % sum(self.number(w) is not None for w in words[1:])
        if name == b"STRLEN":
            return b":%d\r\n" % (14 if n is not None else 0)
        if name in (b"HLEN", b"HSTRLEN"):
            return b":%d\r\n" % ((5 if name == b"HLEN" else 36) if n is not None else 0)
        if name == b"TYPE":
            return b"+none\r\n" if n is None else b"+hash\r\n"
        if name == b"TIME":
            now = time.time() + self.clock
            return array([bulk(int(now)), bulk(int(now % 1 * 1e6))])
        if name == b"INFO":
            run_id = time.monotonic_ns() if self.run_id == "changing" else self.run_id
            return bulk(f"# Server\r\nredis_version:7.0.15\r\nrun_id:{run_id}\r\n# Persistence\r\nloading:0\r\n# Replication\r\nrole:master\r\n")
        if name == b"ROLE":
            return array([bulk("master"), b":0\r\n", b"*0\r\n"])
        if name == b"CONFIG":
            return array([bulk("notify-keyspace-events"), bulk(self.notify)])
        if name == b"PING":
            return b"+PONG\r\n" if len(words) == 1 else bulk(key)
        if name == b"ECHO":
            return bulk(key)
        if name == b"DBSIZE":
            return b":%d\r\n" % self.keys
        if name in (b"AUTH", b"SELECT", b"CLIENT", b"READONLY", b"QUIT"):
            return b"+OK\r\n"
        if name in (b"SUBSCRIBE", b"PSUBSCRIBE", b"UNSUBSCRIBE", b"PUNSUBSCRIBE"):
            return b"".join(array([bulk(name.lower()), bulk(w), b":%d\r\n" % (i + 1)]) for i, w in enumerate(words[1:]))
        return b"-ERR unknown command '" + name[:40] + b"'\r\n"

    # --- connections ---

    async def on_client(self, reader, writer):
        self.connections += 1
        self.open.add(writer)
        try:
            while words := await read_command(reader):
                name = words[0].upper().decode(errors="replace")
                self.counts[name] = self.counts.get(name, 0) + 1
                if name in ("SUBSCRIBE", "PSUBSCRIBE"):
                    for channel in words[1:]:
                        self.subscribers.setdefault(channel, set()).add(writer)
                await self.reply(writer, name, words)
        except (ConnectionError, asyncio.IncompleteReadError, ValueError):
            pass
        finally:
            self.open.discard(writer)
            for who in self.subscribers.values():
                who.discard(writer)
            writer.close()

    async def reply(self, writer, name, words):
        if self.everything:
            writer.write(b"-%b\r\n" % self.everything)
        elif name in self.errors:
            writer.write(b"-%b\r\n" % self.errors[name])
        elif name in self.hangs:
            return
        elif name in self.lies:
            writer.write(LIES[self.lies[name]])
            for _ in range(600 if self.lies[name] == "huge-bulk" else 0):
                writer.write(b"a" * 1_000_000)
                await writer.drain()
        else:
            answer = self.answer(words)
            await asyncio.sleep(self.delays.get(name, 0))
            writer.write(answer)
        await writer.drain()

    def command(self, line):
        word, _, rest = line.partition(" ")
        first, _, last = rest.partition(" ")
        if word == "normal":
            self.everything, self.errors, self.lies, self.hangs, self.delays = None, {}, {}, set(), {}
            self.duplicates = self.vanish = 0
        elif word == "loading":
            self.everything = b"LOADING Redis is loading the dataset in memory"
        elif word == "error":
            self.everything = rest.encode()
        elif word == "error-for":
            self.errors[first] = last.encode()
        elif word == "lie":
            if last not in LIES:
                return f"error: no such lie {last}"
            self.lies[first] = last
        elif word == "hang":
            self.hangs.add(first)
        elif word == "clock":
            self.clock = float(first)
        elif word == "late":
            self.delays[first] = float(last)
        elif word in ("keys", "matching", "duplicates", "vanish"):
            setattr(self, word, int(first))
        elif word == "run-id":
            self.run_id = first
        elif word == "notify":
            self.notify = first
        elif word == "publish":
            for writer in self.subscribers.get(first.encode(), ()):
                writer.write(array([bulk("message"), bulk(first), bulk(last)]))
        elif word == "event":
            for pattern, writers in self.subscribers.items():
                for writer in writers if pattern.startswith(b"__keyspace@") else ():
                    writer.write(array([bulk("pmessage"), bulk(pattern), bulk(f"__keyspace@0__:{last}"), bulk(first)]))
        elif word == "stats":
            return json.dumps({"connections": self.connections, "open": len(self.open), "commands": self.counts})
        else:
            return f"error: unknown command {word}"
        return "ok"


async def read_command(reader):
    """The words of one command, None at the end."""
    line = await reader.readline()
    if not line:
        return None
    if not line.startswith(b"*"):
        return line.split() or [b""]
    words = []
    for _ in range(int(line[1:])):
        length = int((await reader.readline())[1:])
        words.append((await reader.readexactly(length + 2))[:-2])
    return words


async def main():
    parser = argparse.ArgumentParser(description="a Redis that lies; commands on stdin, see the top of the file")
    parser.add_argument("--keys", type=int, default=0)
    parser.add_argument("--matching", type=int, default=0)
    parser.add_argument("--listen", default="127.0.0.1:0")
    options = parser.parse_args()
    fake = Fake(options.keys, options.matching)
    if options.listen.startswith("unix:"):
        await asyncio.start_unix_server(fake.on_client, options.listen[5:])
        print(f"unix://{options.listen[5:]}", flush=True)
    else:
        host, _, port = options.listen.rpartition(":")
        server = await asyncio.start_server(fake.on_client, host, int(port))
        print(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        print(fake.command(line.decode().strip()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
