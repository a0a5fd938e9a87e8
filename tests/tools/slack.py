#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Slack as far as messages go: an incoming webhook and the API's chat.postMessage, chat.update and auth.test, and the ways in which they fail.

    slack.py [--tls CERT KEY]

Prints http(s)://127.0.0.1:PORT; the webhook is at /services/T0CANARY/B0CANARY/hookSecret4711, the API at /api with the token
xoxb-canary-token-4711. Each message is checked against what Slack documents (slack_limits.py); what is wrong is refused as Slack does, and kept.
So is a message that comes less than a second after the one before in its channel. Commands on stdin, one a line, answered with one line:

    mode NAME [ARG]      how all requests are answered from now on
    next NAME [ARG]      how the next one is, before the mode; may be said several times
        ok               as Slack does
        code N [RETRY [BODY]]   this status, Retry-After, and a body that repeats the token and the path
        word WORD        the error WORD, as the webhook (400) or the API (200, ok:false) says it
        noblocks         messages with blocks or attachments get invalid_blocks, text alone is taken
        silent, reset, break, garbage, redirect URL    as backend.py
        cut              the message is taken, the connection closed before the answer
        later SECONDS    taken, and answered so much later
    only PATH            the mode applies to paths that end so; others are answered as with ok. `any`: to all
    delete               all messages that were posted
    requests             [{"path", "body", "text", "time", "status"}…] of all since the start, without auth.test
    faults               what was wrong with messages, and which came too early
    stats                {"requests": n, "posted": n, …}
"""

import argparse
import json
import socket
import sys
import threading
import time

from backend import Backend, make_context
from slack_limits import faults

HOOK = "/services/T0CANARY/B0CANARY/hookSecret4711"
TOKEN = "xoxb-canary-token-4711"


class Slack(Backend):
    def __init__(self, context):
        super().__init__(context)
        self.only = "any"
        self.following, self.kept, self.faults, self.messages, self.last = [], [], [], {}, {}

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
            if not path.endswith("auth.test"):
                self.keep(path, body, mode)
        return getattr(self, "mode_" + mode)(peer, path, headers, body, argument)

    def keep(self, path, body, mode):
        now = time.monotonic()
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        self.kept.append({"path": path, "body": parsed, "time": time.time(), "mode": mode})
        if body == b'{"text":""}':
            return  # the doctor's
        self.faults += faults(body, path.startswith("/api/"))
        channel = (parsed or {}).get("channel", path)
        if now - self.last.get(channel, 0) < 1:
            self.faults.append(f"two messages in {channel} within {now - self.last[channel]:.3f} s")
        self.last[channel] = now

    # ---- as Slack does ----

    def judge(self, path, headers, body):
        """(status, body) of the answer; what is taken is kept."""
        if not headers.get("content-type", "").startswith("application/json"):
            return 400, "invalid_payload"
        if path == HOOK:
            return self.judge_hook(body)
        if not path.startswith("/api/"):
            return 404, "no_service"
        if headers.get("authorization") != "Bearer " + TOKEN:
            return 200, {"ok": False, "error": "invalid_auth"}
        if path == "/api/auth.test":
            return 200, {"ok": True, "team": "Canary", "user": "callwatch", "user_id": "U0CANARY"}
        with self.lock:
            return 200, self.judge_api(path, json.loads(body), body)

    def judge_hook(self, body):
        if not json.loads(body).get("text"):
            return 400, "no_text"
        if faults(body, False):
            return 400, "invalid_blocks"
        self.seen["posted"] = self.seen.get("posted", 0) + 1
        return 200, "ok"

    def judge_api(self, path, message, raw):
        channel = message.get("channel")
        if faults(raw, True):
            return {"ok": False, "error": "invalid_blocks", "errors": faults(raw, True)}
        if path == "/api/chat.update":
            if message.get("ts") not in self.messages:
                return {"ok": False, "error": "message_not_found"}
            ts = message["ts"]
        elif path == "/api/chat.postMessage":
            if message.get("thread_ts") and message["thread_ts"] not in self.messages:
                return {"ok": False, "error": "thread_not_found"}
            ts = f"{1790000000 + len(self.messages)}.{len(self.messages):06}"
            self.seen["posted"] = self.seen.get("posted", 0) + 1
        else:
            return {"ok": False, "error": "unknown_method"}
        if channel not in ("C0CANARY", "#canary"):
            return {"ok": False, "error": "channel_not_found"}
        self.messages[ts] = message
        return {"ok": True, "channel": "C0CANARY", "ts": ts, "message": {"text": "…"}}

    def reply(self, peer, status, body, more=""):
        if isinstance(body, str):
            return self.answer(peer, status, body.encode(), more)
        return self.answer(peer, status, body, more)

    def mode_ok(self, peer, path, headers, body, argument):
        return self.reply(peer, *self.judge(path, headers, body))

    # ---- as it fails ----

    def mode_code(self, peer, path, headers, body, argument):
        code, retry, said = (argument.split(" ", 2) + ["", ""])[:3]
        said = said or f"no: {path} {headers.get('authorization')}"
        return self.reply(peer, int(code), said, f"Retry-After: {retry}\r\n" if retry else "")

    def mode_word(self, peer, path, headers, body, argument):
        return self.reply(peer, *((200, {"ok": False, "error": argument}) if path.startswith("/api/") else (400, argument)))

    def mode_noblocks(self, peer, path, headers, body, argument):
        message = json.loads(body)
        if "blocks" in message or "attachments" in message:
            return self.mode_word(peer, path, headers, body, "invalid_blocks")
        return self.mode_ok(peer, path, headers, body, argument)

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


def command(slack, line):
    word, _, rest = line.partition(" ")
    with slack.lock:
        if word == "mode":
            slack.mode, _, slack.argument = rest.partition(" ")
        elif word == "next":
            slack.following.append(rest)
        elif word == "only":
            slack.only = rest
        elif word == "delete":
            slack.messages.clear()
        elif word == "requests":
            return json.dumps(slack.kept)
        elif word == "faults":
            return json.dumps(slack.faults)
        elif word == "stats":
            return json.dumps(slack.seen)
        else:
            return f"error: {word}?"
    return "ok"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    arguments = parser.parse_args()
    arguments.client_ca = arguments.old_tls = None
    slack = Slack(make_context(arguments))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"{'https' if arguments.tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=slack.serve, args=(listener,), daemon=True).start()
    for line in sys.stdin:
        print(command(slack, line.rstrip("\n")), flush=True)


if __name__ == "__main__":
    main()
