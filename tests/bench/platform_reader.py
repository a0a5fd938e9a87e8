#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What the platform's admin service does to see its calls: SCAN in pages of 100, then HGETALL and GET for each call, one
round trip each. Prints `calls seconds`.

    platform_reader.py SOCKET
"""
import sys
import time

import redis

client = redis.Redis(unix_socket_path=sys.argv[1], decode_responses=True)
began = time.monotonic()
calls = []
for key in client.scan_iter(match="call_ctx:*", count=100):
    context = client.hgetall(key)
    heartbeat = client.get("call_heartbeat:" + key[len("call_ctx:"):])
    calls.append((context, heartbeat))
print(len(calls), f"{time.monotonic() - began:.6f}")
