# SPDX-License-Identifier: MIT
"""A server of scripted answers on a UNIX socket, for what the client makes of them."""

import contextlib
import json
import socket
import threading


def answer(body, status="200 OK", kind="application/json", length=None):
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) if length is None else length}\r\nConnection: close\r\n\r\n"
    return head.encode() + body


class Server:
    """Answers each request by the first rule whose word is in its first line; a rule is bytes, or a function of the connection."""

    def __init__(self, folder):
        self.path = folder / "s.sock"
        self.rules = []
        self.seen = []
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.path))
        self.listener.listen(50)
        threading.Thread(target=self._serve, daemon=True).start()

    def on(self, word, rule):
        self.rules.insert(0, (word, rule))
        return self

    def _serve(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection):
        with connection, contextlib.suppress(OSError):
            request = b""
            while b"\r\n\r\n" not in request:
                part = connection.recv(65536)
                if not part:
                    return
                request += part
            line = request.split(b"\r\n")[0].decode()
            self.seen.append(line)
            rule = next((rule for word, rule in self.rules if word in line), answer({"detail": "no rule"}, "404 Not Found"))
            if callable(rule):
                rule(connection)
            else:
                connection.sendall(rule)

    def close(self):
        self.listener.close()
