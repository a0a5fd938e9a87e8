#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A receiver that was made for Alertmanager's webhooks: it takes version "4", and finds fault with what Alertmanager would not send.

    hook.py [--tls CERT KEY]

Prints http(s)://127.0.0.1:PORT. Paths: /v4 wants Alertmanager's members and no others; anything else takes any JSON. A signature (Standard
Webhooks, written from its specification) is checked where there is one, with the secrets below; so are id and timestamp, and that a request
with an id that was seen before has the same body. Commands are those of receiver.py.
"""

import base64
import hashlib
import hmac
import json
import re
import time

from receiver import Receiver, serve

SECRET = "hmac-canary-secret-4711"  # its bytes; as Standard Webhooks writes one: whsec_ and base64 of it
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
MEMBERS = {"version": str, "groupKey": str, "truncatedAlerts": int, "status": str, "receiver": str, "groupLabels": dict, "commonLabels": dict,
           "commonAnnotations": dict, "externalURL": str, "alerts": list}
ALERT = {"status": str, "labels": dict, "annotations": dict, "startsAt": str, "endsAt": str, "generatorURL": str, "fingerprint": str}


def shape(thing, members, where):
    if not isinstance(thing, dict) or set(thing) != set(members):
        return [f"{where} has {sorted(thing) if isinstance(thing, dict) else thing!r}"]
    found = [f"{where}.{name} is {thing[name]!r}" for name, kind in members.items() if not isinstance(thing[name], kind)]
    for name, kind in members.items():
        if kind is dict and any(not isinstance(v, str) or not isinstance(k, str) for k, v in thing[name].items()):
            found.append(f"{where}.{name} holds what is no text")
    return found


def faults_of_v4(body):
    found = shape(body, MEMBERS, "the body")
    if found:
        return found
    if body["version"] != "4" or body["status"] not in ("firing", "resolved") or not body["groupKey"] or not body["alerts"]:
        found.append(f"version, status, groupKey or alerts: {body}")
    for i, alert in enumerate(body["alerts"]):
        wrong = shape(alert, ALERT, f"alerts[{i}]")
        found += wrong
        if wrong:
            continue
        if not TIME.fullmatch(alert["startsAt"]) or not TIME.fullmatch(alert["endsAt"]):
            found.append(f"alerts[{i}]: times {alert['startsAt']}, {alert['endsAt']}")
        if alert["status"] == "firing" and alert["endsAt"] != "0001-01-01T00:00:00Z":
            found.append(f"alerts[{i}] fires and has ended")
        if not alert["labels"].get("alertname") or not re.fullmatch("[0-9a-f]{16}", alert["fingerprint"]):
            found.append(f"alerts[{i}]: alertname or fingerprint")
        for name, value in body["commonLabels"].items():
            if alert["labels"].get(name) != value:
                found.append(f"{name} is no common label")
    if body["status"] == "resolved" and any(alert["status"] == "firing" for alert in body["alerts"]):
        found.append("resolved, and some fire")
    return found


def faults_of_headers(headers, body):
    found = []
    key = headers.get("webhook-id", "")
    if not re.fullmatch(r"[0-9a-f-]{1,64}", key) or headers.get("idempotency-key") != key:
        found.append(f"id {key!r}, idempotency-key {headers.get('idempotency-key')!r}")
    stamp = headers.get("webhook-timestamp", "")
    if not stamp.isdigit() or abs(int(stamp) - time.time()) > 300:
        found.append(f"timestamp {stamp!r}")
    if "webhook-signature" in headers:
        signed = f"{key}.{stamp}.".encode() + body
        right = "v1," + base64.b64encode(hmac.new(SECRET.encode(), signed, hashlib.sha256).digest()).decode()
        if not hmac.compare_digest(right, headers["webhook-signature"]):
            found.append("the signature is wrong")
    if headers.get("content-type") != "application/json":
        found.append(f"content-type {headers.get('content-type')}")
    return found


class Hook(Receiver):
    def __init__(self, context):
        super().__init__(context)
        self.bodies = {}

    def keep(self, method, path, headers, body, mode):
        if method != "POST":
            return
        super().keep(method, path, headers, body, mode)
        self.faults += faults_of_headers(headers, body)
        if self.kept[-1]["body"] is None:
            self.faults.append(f"no JSON: {body[:200]!r}")
        elif path == "/v4":
            self.faults += faults_of_v4(json.loads(body))
        if self.bodies.setdefault(headers.get("webhook-id"), body) != body:
            self.faults.append(f"{headers.get('webhook-id')} was another one before")

    def judge(self, path, headers, body):
        self.seen["posted"] = self.seen.get("posted", 0) + 1
        return 200, {"status": "ok"}


if __name__ == "__main__":
    serve(Hook)
