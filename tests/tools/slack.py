#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Slack as far as messages go: an incoming webhook and the API's chat.postMessage, chat.update and auth.test, and the ways in which they fail.

    slack.py [--tls CERT KEY]

Prints http(s)://127.0.0.1:PORT; the webhook is at /services/T0CANARY/B0CANARY/hookSecret4711, the API at /api with the token
xoxb-canary-token-4711. Each message is checked against what Slack documents (slack_limits.py); what is wrong is refused as Slack does, and kept.
So is a message that comes less than a second after the one before in its channel. Commands are those of receiver.py, and

        word WORD        (a mode) the error WORD, as the webhook (400) or the API (200, ok:false) says it
        noblocks         (a mode) messages with blocks or attachments get invalid_blocks, text alone is taken
    delete               all messages that were posted

Of auth.test, and of the empty message that the doctor sends, nothing is kept; but that message counts among those a second apart.
"""

import json
import time

from receiver import Receiver, serve
from slack_limits import faults

HOOK = "/services/T0CANARY/B0CANARY/hookSecret4711"
TOKEN = "xoxb-canary-token-4711"


class Slack(Receiver):
    def __init__(self, context):
        super().__init__(context)
        self.messages, self.last = {}, {}

    def keep(self, method, path, headers, body, mode):
        if path.endswith("auth.test"):
            return
        now = time.monotonic()
        channel = path
        if body != b'{"text":""}':
            super().keep(method, path, headers, body, mode)
            self.faults += faults(body, path.startswith("/api/"))
            channel = (self.kept[-1]["body"] or {}).get("channel", path)
        if now - self.last.get(channel, 0) < 1:
            self.faults.append(f"two messages in {channel} within {now - self.last[channel]:.3f} s")
        self.last[channel] = now

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

    def mode_word(self, peer, path, headers, body, argument):
        return self.reply(peer, *((200, {"ok": False, "error": argument}) if path.startswith("/api/") else (400, argument)))

    def mode_noblocks(self, peer, path, headers, body, argument):
        message = json.loads(body)
        if "blocks" in message or "attachments" in message:
            return self.mode_word(peer, path, headers, body, "invalid_blocks")
        return self.mode_ok(peer, path, headers, body, argument)

    def command(self, word, rest):
        if word == "delete":
            self.messages.clear()
            return "ok"
        return super().command(word, rest)


if __name__ == "__main__":
    serve(Slack)
