#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the platform's admin service does to see its calls, with the client it uses (asynchronous, pooled): SCAN in pages of
100, then HGETALL and GET for each call, one round trip each. Prints `calls seconds`.

    platform_reader.py SOCKET
"""
import asyncio
import sys
import time

import redis.asyncio as redis


async def read(socket):
    client = redis.Redis(unix_socket_path=socket, decode_responses=True)
    calls = []
    async for key in client.scan_iter(match="call_ctx:*", count=100):
        context = await client.hgetall(key)
        heartbeat = await client.get("call_heartbeat:" + key[len("call_ctx:"):])
        calls.append((context, heartbeat))
    await client.close()
    return len(calls)


began = time.monotonic()
print(asyncio.run(read(sys.argv[1])), f"{time.monotonic() - began:.6f}")
