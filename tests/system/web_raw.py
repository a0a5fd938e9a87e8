# SPDX-License-Identifier: MIT
"""Requests to the plugin web byte by byte, over TCP, for tests that a well-behaved client cannot make."""

import contextlib
import json
import socket

from harness import BUILD, SLOWER

SECURITY_HEADERS = {
    "x-content-type-options": "nosniff", "cache-control": "no-store", "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin", "cross-origin-resource-policy": "same-origin", "connection": "close",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
}


def config(daemon, listen, redis=None, options="", calls="", interval="1s"):
    """The plugin web on the daemon's socket and on these places (YAML items), a source if there is a Redis."""
    text = (f"agent:\n  hostname: testhost\n  interval: {interval}\n  state_dir: {daemon.folder}/state\n"
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n")
    if redis:
        text += f"  - {{ plugin: redis-calls, name: calls, url: \"{redis.url}\"{calls} }}\n"
    text += f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\", {', '.join(listen)}]\n"
    return text + "".join(f"    {line}\n" for line in options.strip("\n").split("\n") if line)


class Answer:
    def __init__(self, raw):
        self.raw = raw
        head, _, self.body = raw.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split(" ")[1]) if lines[0].startswith("HTTP/1.") else None
        self.fields = [tuple(line.split(": ", 1)) for line in lines[1:] if ": " in line]
        self.headers = {name.lower(): value for name, value in self.fields}

    @property
    def problem(self):
        return json.loads(self.body)["detail"]


def dial(port, timeout=15, address="127.0.0.1"):
    return socket.create_connection((address, port), timeout=timeout * SLOWER)


def read_to_end(s):
    answer = b""
    while True:
        try:
            piece = s.recv(65536)
        except (ConnectionResetError, BrokenPipeError):  # it closed with bytes of ours unread
            return answer
        if not piece:
            return answer
        answer += piece


def raw(port, request, half_close=False, address="127.0.0.1"):
    with dial(port, address=address) as s:
        with contextlib.suppress(OSError):  # it may have closed before it has read all
            s.sendall(request)
            if half_close:
                s.shutdown(socket.SHUT_WR)
        return Answer(read_to_end(s))


def ask(port, target, method="GET", headers=(), host="127.0.0.1", address="127.0.0.1"):
    lines = [f"{method} {target} HTTP/1.1", f"Host: {host}", *headers]
    return raw(port, "\r\n".join(lines).encode() + b"\r\n\r\n", address=address)
