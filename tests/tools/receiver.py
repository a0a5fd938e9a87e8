# SPDX-License-Identifier: MIT
"""What slack.py and hook.py share: an HTTP receiver that keeps what it is sent, says what was wrong with it, and fails when it is told to.

Commands on stdin, one a line, answered with one line:

    mode NAME [ARG]      how all requests are answered from now on
    next NAME [ARG]      how the next one is, before the mode; may be said several times
        ok               as the receiver does
        code N [RETRY [BODY]]   this status, Retry-After, and a body that repeats path and authorization
        silent, reset, break, garbage, redirect URL    as backend.py
        cut              what came is taken, the connection closed before the answer
        later SECONDS    taken, and answered so much later
    only PATH            the mode applies to paths that end so; others are answered as with ok. `any`: to all
    requests             [{"path", "headers", "body", "time", "mode"}…] of all since the start
    faults               what was wrong with them
    stats                {"requests": n, "posted": n, …}
"""

import argparse
import json
import socket
import sys
import threading
import time

from backend import Backend, make_context


class Receiver(Backend):
    def __init__(self, context):
        super().__init__(context)
        self.following, self.kept, self.faults = [], [], []

    def read_request(self, peer):
        head = b""
        while b"\r\n\r\n" not in head:
            more = peer.recv(65536)
            if not more:
                return None
            head += more
        head, _, body = head.partition(b"\r\n\r\n")
        lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        while len(body) < int(headers.get("content-length", 0)):
            body += peer.recv(65536)
        method, path, _ = lines[0].split(" ")
        return method, path, headers, body

    def exchange(self, peer):
        request = self.read_request(peer)
        if not request:
            return False
        method, path, headers, body = request
        with self.lock:
            self.seen["requests"] = self.seen.get("requests", 0) + 1
            mode, argument = self.mode, self.argument
            if self.only != "any" and not path.endswith(self.only):
                mode = "ok"
            elif self.following:
                mode, _, argument = self.following.pop(0).partition(" ")
            self.keep(method, path, headers, body, mode)
        return getattr(self, "mode_" + mode)(peer, path, headers, body, argument)

    def keep(self, method, path, headers, body, mode):
        """With the lock held."""
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        self.kept.append({"method": method, "path": path, "headers": headers, "body": parsed, "time": time.time(), "mode": mode})

    def judge(self, path, headers, body):
        """(status, body) of the answer; what is taken is counted as posted."""
        raise NotImplementedError

    def reply(self, peer, status, body, more=""):
        if isinstance(body, str):
            return self.answer(peer, status, body.encode(), more)
        return self.answer(peer, status, body, more)

    def mode_ok(self, peer, path, headers, body, argument):
        return self.reply(peer, *self.judge(path, headers, body))

    def mode_code(self, peer, path, headers, body, argument):
        code, retry, said = (argument.split(" ", 2) + ["", ""])[:3]
        said = said or f"no: {path} {headers.get('authorization')}"
        return self.reply(peer, int(code), said, f"Retry-After: {retry}\r\n" if retry else "")

    def mode_cut(self, peer, path, headers, body, argument):
        self.judge(path, headers, body)
        return False

    def mode_later(self, peer, path, headers, body, argument):
        answer = self.judge(path, headers, body)
        time.sleep(float(argument))  # what is late is what is tested
        return self.reply(peer, *answer)

    def mode_silent(self, peer, path, headers, body, argument):
        return Backend.mode_silent(self, peer, "POST", path, headers, argument)

    def mode_reset(self, peer, path, headers, body, argument):
        return Backend.mode_reset(self, peer, "POST", path, headers, argument)

    def mode_break(self, peer, path, headers, body, argument):
        return Backend.mode_break(self, peer, "POST", path, headers, argument)

    def mode_garbage(self, peer, path, headers, body, argument):
        return Backend.mode_garbage(self, peer, "POST", path, headers, argument)

    def mode_redirect(self, peer, path, headers, body, argument):
        return Backend.mode_redirect(self, peer, "POST", path, headers, argument)



    def command(self, word, rest):
        """With the lock held; None: no such command."""
        if word == "mode":
            self.mode, _, self.argument = rest.partition(" ")
        elif word == "next":
            self.following.append(rest)
        elif word == "only":
            self.only = rest
        elif word in ("requests", "faults", "stats"):
            return json.dumps({"requests": self.kept, "faults": self.faults, "stats": self.seen}[word])
        else:
            return None
        return "ok"


def serve(kind):
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    arguments = parser.parse_args()
    arguments.client_ca = arguments.old_tls = None
    receiver = kind(make_context(arguments))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"{'https' if arguments.tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=receiver.serve, args=(listener,), daemon=True).start()
    for line in sys.stdin:
        word, _, rest = line.rstrip("\n").partition(" ")
        with receiver.lock:
            print(receiver.command(word, rest) or f"error: {word}?", flush=True)
