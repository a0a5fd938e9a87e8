#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""The platform's web backend as far as reconciliation goes, and every way in which it may fail.

    backend.py [--tls CERT KEY] [--client-ca PEM] [--old-tls]

Prints http(s)://127.0.0.1:PORT, then takes commands on stdin, one a line, each answered with one line:

    status JSON          what GET …/status answers with mode `ok`
    mode NAME [ARG]      how it answers from now on:
        ok               as the platform does; POST …/trigger gives a new task_id
        code N [RETRY]   this status, a body that repeats the API key, and Retry-After
        text BODY        200 with these bytes
        garbage          no HTTP
        silent           nothing, ever
        drip             a whole answer, one byte a second
        endless          200 and a body without end
        large            200, `Content-Length: 1073741824`, and as much of it as is taken
        bomb             200, gzip of a gigabyte of zeros
        headers          200 and headers without end
        redirect URL     302
        break            half an answer
        reset            the connection is reset when the request has come
    only POST|GET|any    to which requests the mode applies; others are answered as with ok
    stats                {"GET": n, "POST": n, "keys": [X-API-Key…], "task_ids": [...], "sent": bytes}
"""

import argparse
import json
import socket
import ssl
import struct
import sys
import threading
import time
import uuid
import zlib

MILLION = bytes(1 << 20)


class Backend:
    def __init__(self, context):
        self.context = context
        self.lock = threading.Lock()
        self.mode, self.argument, self.only = "ok", "", "any"
        self.status = {"last_run_at": None, "status": None, "missing_count": 0, "queued_count": 0, "error": None}
        self.seen = {"GET": 0, "POST": 0, "keys": [], "task_ids": [], "idempotency": [], "sent": 0}

    def serve(self, listener):
        while True:
            peer, _ = listener.accept()
            threading.Thread(target=self.one, args=(peer,), daemon=True).start()

    def one(self, peer):
        try:
            if self.context:
                peer = self.context.wrap_socket(peer, server_side=True)
            while self.exchange(peer):
                pass
        except (OSError, ValueError):
            pass
        finally:
            peer.close()

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
        return method, path, headers

    def exchange(self, peer):
        request = self.read_request(peer)
        if not request:
            return False
        method, path, headers = request
        with self.lock:
            self.seen[method] = self.seen.get(method, 0) + 1
            for name, kept in (("x-api-key", "keys"), ("idempotency-key", "idempotency")):
                if headers.get(name) and headers[name] not in self.seen[kept]:
                    self.seen[kept].append(headers[name])
            mode = self.mode if self.only in ("any", method) else "ok"
            argument = self.argument
        return getattr(self, "mode_" + mode)(peer, method, path, headers, argument)

    def send(self, peer, data):
        peer.sendall(data)
        self.seen["sent"] += len(data)

    def answer(self, peer, code, body, more=""):
        body = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send(peer, f"HTTP/1.1 {code} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body)
        return True

    def mode_ok(self, peer, method, path, headers, argument):
        if method == "GET" and path.endswith("/status"):
            return self.answer(peer, 200, self.status)
        if method == "POST" and path.endswith("/trigger"):
            task_id = str(uuid.uuid4())
            self.seen["task_ids"].append(task_id)
            return self.answer(peer, 200, {"task_id": task_id})
        return self.answer(peer, 404, {"detail": "Not Found"})

    def mode_code(self, peer, method, path, headers, argument):
        code, _, retry = argument.partition(" ")
        said = {"detail": f"no: {headers.get('x-api-key')} is what you said, +14155550132"}
        return self.answer(peer, code, said, f"Retry-After: {retry}\r\n" if retry else "")

    def mode_text(self, peer, method, path, headers, argument):
        return self.answer(peer, 200, argument.encode())

    def mode_garbage(self, peer, method, path, headers, argument):
        self.send(peer, b"220 mail.example.net ESMTP ready\r\n")
        return False

    def mode_silent(self, peer, method, path, headers, argument):
        peer.recv(1)  # until the other side gives up
        return False

    def mode_drip(self, peer, method, path, headers, argument):
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}":
            self.send(peer, bytes([byte]))
            time.sleep(1)
        return False

    def mode_endless(self, peer, method, path, headers, argument):
        self.send(peer, b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            self.send(peer, MILLION)

    def mode_large(self, peer, method, path, headers, argument):
        self.send(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n")
        for _ in range(1024):
            self.send(peer, MILLION)
        return False

    def mode_bomb(self, peer, method, path, headers, argument):
        self.send(peer, b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\n\r\n")
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        for _ in range(1024):
            self.send(peer, packer.compress(MILLION))
        return False

    def mode_headers(self, peer, method, path, headers, argument):
        self.send(peer, b"HTTP/1.1 200 OK\r\n")
        while True:
            self.send(peer, b"X-More: " + b"x" * 1000 + b"\r\n")

    def mode_redirect(self, peer, method, path, headers, argument):
        return self.answer(peer, 302, b"", f"Location: {argument}\r\n")

    def mode_break(self, peer, method, path, headers, argument):
        self.send(peer, b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
        return False

    def mode_reset(self, peer, method, path, headers, argument):
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False


def make_context(arguments):
    if not arguments.tls:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*arguments.tls)
    if arguments.client_ca:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(arguments.client_ca)
    if arguments.old_tls:
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.set_ciphers("ALL:@SECLEVEL=0")
    return context


def command(backend, line):
    word, _, rest = line.partition(" ")
    with backend.lock:
        if word == "status":
            backend.status = json.loads(rest)
        elif word == "mode":
            backend.mode, _, backend.argument = rest.partition(" ")
        elif word == "only":
            backend.only = rest
        elif word == "stats":
            return json.dumps(backend.seen)
        else:
            return f"error: {word}?"
    return "ok"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--tls", nargs=2)
    parser.add_argument("--client-ca")
    parser.add_argument("--old-tls", action="store_true")
    arguments = parser.parse_args()
    backend = Backend(make_context(arguments))
    listener = socket.create_server(("127.0.0.1", 0))
    print(f"{'https' if arguments.tls else 'http'}://127.0.0.1:{listener.getsockname()[1]}", flush=True)
    threading.Thread(target=backend.serve, args=(listener,), daemon=True).start()
    for line in sys.stdin:
        print(command(backend, line.rstrip("\n")), flush=True)


if __name__ == "__main__":
    main()
