#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A fault proxy for byte streams: TCP or UNIX socket in front, TCP or UNIX socket behind.

    proxy.py --to unix:/run/redis.sock [--listen unix:PATH | 127.0.0.1:PORT]

Prints its address as a redis:// or unix:// URL on the first line of stdout, then takes commands on stdin, one a line, each answered by one line:

    delay SECONDS           every piece in each direction waits that long
    throttle BYTES          bytes per second in each direction; 0: no limit
    cut-down N | cut-up N   the next connection that has carried N bytes to (down) or from (up) the client is closed, once
    cut-every-down N        every new connection is cut after N bytes to the client
    rst                     close all connections with RST
    close                   close all connections properly
    refuse | accept         refuse (close at once) or accept new connections
    blackhole | pass        carry nothing in either direction, connections stay open, new ones too; then carry again
    blackhole-old           what is connected now carries nothing ever again; new connections work (half-open)
    blackhole-subscribers   the same for connections that have subscribed, and for those alone
    to ADDRESS              new connections go there (failover)
    drop-pubsub PERCENT     drop that share of `message` pushes to subscribers, at RESP borders; 0: none
    stats                   {"connections", "open", "up", "down", "dropped", "cuts"} as JSON
    ok                      answers ok

Each connection has two asyncio tasks. Dropping pub/sub messages needs whole RESP pushes: see MessageDropper.
"""

import argparse
import asyncio
import json
import random
import socket
import struct
import sys


class MessageDropper:
    """Passes a RESP2 stream from server to client and leaves out some of the arrays that begin with `message`.

    Only connections whose first reply is an array (`subscribe` …) are looked into; on others everything passes."""

    def __init__(self, faults):
        self.faults = faults
        self.rest = b""
        self.subscriber = None

    def feed(self, data):
        self.rest += data
        out = bytearray()
        while self.rest:
            end = self.element(0)
            if end is None:
                break
            piece, self.rest = self.rest[:end], self.rest[end:]
            if piece.startswith(b"*3\r\n$7\r\nmessage\r\n") and random.random() * 100 < self.faults.drop_percent:
                self.faults.dropped += 1
                continue
            out += piece
        return bytes(out)

    def element(self, at):
        """Where the element that begins at `at` ends; None if it is not all there yet."""
        line_end = self.rest.find(b"\r\n", at)
        if line_end < 0:
            return None
        kind, number = self.rest[at:at + 1], self.rest[at + 1:line_end]
        at = line_end + 2
        if kind == b"$":
            n = int(number)
            end = at if n < 0 else at + n + 2
            return end if end <= len(self.rest) else None
        if kind == b"*":
            for _ in range(max(0, int(number))):
                at = self.element(at)
                if at is None:
                    return None
        return at


class Faults:
    def __init__(self, to):
        self.to = to
        self.delay, self.throttle, self.drop_percent = 0.0, 0, 0.0
        self.cut_down = self.cut_up = self.cut_every_down = None
        self.refuse = self.blackhole = False
        self.connections = self.up = self.down = self.dropped = self.cuts = 0
        self.open = set()


class Connection:
    def __init__(self, faults, client, server):
        self.faults, self.client, self.server = faults, client, server
        self.dead = False  # carries nothing ever again
        self.subscribed = False
        self.carried = {"up": 0, "down": 0}
        self.cut_after = faults.cut_every_down
        self.dropper = MessageDropper(faults)

    async def carry(self, reader, writer, way):
        try:
            while data := await reader.read(65536):
                data = await self.harm(data, way)
                if data is None:
                    break
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            self.close()

    async def harm(self, data, way):
        """What is left of a piece after the faults; None: close."""
        faults = self.faults
        if faults.delay:
            await asyncio.sleep(faults.delay)
        if faults.throttle:
            await asyncio.sleep(len(data) / faults.throttle)
        if way == "up" and b"SUBSCRIBE\r\n" in data.upper():
            self.subscribed = True
        while self.dead or faults.blackhole:
            await asyncio.sleep(0.02)
        if way == "down" and (faults.drop_percent or self.dropper.rest):
            data = self.dropper.feed(data)
        limit = self.limit(way)
        if limit is not None and self.carried[way] + len(data) >= limit:
            left = data[:max(0, limit - self.carried[way])]
            faults.cuts += 1
            if way == "down":
                faults.cut_down = None
                self.client.write(left)
                await self.client.drain()
            else:
                faults.cut_up = None
                self.server.write(left)
                await self.server.drain()
            return None
        self.carried[way] += len(data)
        setattr(faults, way, getattr(faults, way) + len(data))
        return data

    def limit(self, way):
        return (self.faults.cut_down if self.faults.cut_down is not None else self.cut_after) if way == "down" else self.faults.cut_up

    def close(self, rst=False):
        self.faults.open.discard(self)
        for writer in (self.client, self.server):
            if rst:
                sock = writer.get_extra_info("socket")
                if sock and sock.family != socket.AF_UNIX:
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
            elif not writer.is_closing():
                writer.close()


async def dial(address):
    if address.startswith("unix:"):
        return await asyncio.open_unix_connection(address[5:])
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


def server_for(faults):
    async def on_client(reader, writer):
        faults.connections += 1
        if faults.refuse:
            writer.transport.abort()
            return
        try:
            server_reader, server_writer = await dial(faults.to)
        except OSError:
            writer.transport.abort()
            return
        connection = Connection(faults, writer, server_writer)
        faults.open.add(connection)
        await asyncio.gather(connection.carry(reader, server_writer, "up"), connection.carry(server_reader, writer, "down"))

    return on_client


def command(faults, word, argument):
    number = float(argument) if argument.replace(".", "", 1).isdigit() else 0
    if word == "delay":
        faults.delay = number
    elif word == "throttle":
        faults.throttle = int(number)
    elif word in ("cut-down", "cut-up", "cut-every-down"):
        setattr(faults, word.replace("-", "_"), int(number) if argument not in ("", "off") else None)
    elif word in ("rst", "close"):
        for connection in list(faults.open):
            connection.close(rst=word == "rst")
    elif word in ("refuse", "accept"):
        faults.refuse = word == "refuse"
    elif word in ("blackhole", "pass"):
        faults.blackhole = word == "blackhole"
    elif word in ("blackhole-old", "blackhole-subscribers"):
        for connection in faults.open:
            connection.dead = word == "blackhole-old" or connection.subscribed
    elif word == "to":
        faults.to = argument
    elif word == "drop-pubsub":
        faults.drop_percent = number
    elif word == "stats":
        return json.dumps({"connections": faults.connections, "open": len(faults.open), "up": faults.up, "down": faults.down,
                           "dropped": faults.dropped, "cuts": faults.cuts})
    elif word != "ok":
        return f"error: unknown command {word}"
    return "ok"


async def main():
    parser = argparse.ArgumentParser(description="fault proxy; commands on stdin, see the top of the file")
    parser.add_argument("--to", required=True)
    parser.add_argument("--listen", default="127.0.0.1:0")
    options = parser.parse_args()
    faults = Faults(options.to)
    serve = server_for(faults)
    if options.listen.startswith("unix:"):
        await asyncio.start_unix_server(serve, options.listen[5:])
        print(f"unix://{options.listen[5:]}", flush=True)
    else:
        host, _, port = options.listen.rpartition(":")
        server = await asyncio.start_server(serve, host, int(port))
        print(f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
    stdin = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(stdin), sys.stdin)
    while line := await stdin.readline():
        word, _, argument = line.decode().strip().partition(" ")
        print(command(faults, word, argument.strip()), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
