# SPDX-License-Identifier: MIT
"""One notifier by itself (tests/tools/notifier.c), to be given exactly what a test wants, and mail servers for it."""

import asyncio
import email
import email.policy
import json
import os
import re
import signal
import ssl
import subprocess

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from harness import BIN, BUILD, Process, free_port, wait_for


class Notifier:
    """`settings`: KEY=VALUE texts, as tests/unit/plugin_host.h has them."""

    def __init__(self, folder, plugin, *settings, name=None):
        self.err = open(folder / f"{name or plugin}.notifier.err", "ab")
        self.err_path = folder / f"{name or plugin}.notifier.err"
        self.popen = subprocess.Popen([str(BIN / "notifier"), str(BUILD / f"plugins/{plugin}.so"), *settings], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.err, env={**os.environ, "PLUGIN_HOST_VERBOSE": "1"})

    def say(self, what, **more):
        self.popen.stdin.write((json.dumps({"do": what, **more}) + "\n").encode())
        self.popen.stdin.flush()
        line = self.popen.stdout.readline()
        assert line, f"it has ended: {self.err_path.read_text()[-3000:]}"
        return json.loads(line)

    def notify(self, *notices, **notice):
        return self.say("notify", notices=list(notices) or [notice])

    def state(self):
        return self.say("state")

    def wait_state(self, state, reason="", deadline=15):
        return wait_for(lambda: (now := self.state())["state"] == state and reason in now["reason"] and now, deadline,
                        what=f"{state} ({reason})")

    def examine(self, check):
        answer = self.say("examine", check=check)
        return answer["verdict"], answer["text"]

    def stop(self):
        self.popen.stdin.close()
        try:
            assert self.popen.wait(20) == 0, self.err_path.read_text()[-3000:]
        finally:
            self.popen.kill()
            self.popen.wait()
            self.popen.stdout.close()
            self.err.close()


class Handler:
    """Takes mails; `script` may answer otherwise: {"RCPT": {address or None: answer}, "DATA": answer, "MAIL": answer}, an answer being a
    reply, or a list of them of which each is given once."""

    def __init__(self):
        self.mails = []  # (recipient, raw bytes)
        self.script = {}
        self.sessions = 0
        self.tried = []  # recipients, whatever became of them

    def next_of(self, answer):
        if isinstance(answer, list):
            return answer.pop(0) if answer else None
        return answer

    async def handle_EHLO(self, server, session, envelope, hostname, responses):
        session.host_name = hostname
        self.hello = hostname
        self.sessions += 1
        return responses

    async def handle_MAIL(self, server, session, envelope, address, options):
        answer = self.next_of(self.script.get("MAIL"))
        if answer:
            return answer
        envelope.mail_from = address
        return "250 2.1.0 fine"

    async def handle_RCPT(self, server, session, envelope, address, options):
        self.tried.append(address)
        table = self.script.get("RCPT", {})
        answer = self.next_of(table.get(address, table.get(None)))
        if answer:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    async def handle_DATA(self, server, session, envelope):
        answer = self.next_of(self.script.get("DATA"))
        if answer == "cut":
            self.mails += [(to, envelope.content) for to in envelope.rcpt_tos]
            server.transport.abort()
            return "250 never heard"
        if answer and answer != "taken, and closed":
            return answer
        self.mails += [(to, envelope.content) for to in envelope.rcpt_tos]
        if answer:  # right after the reply
            asyncio.get_running_loop().call_soon(server.transport.close)
        return "250 2.0.0 taken"


class MailServer(Controller):
    """aiosmtpd. `tls`: (certificate, key); implicit: from the first byte, else by STARTTLS, which it then wants."""

    def __init__(self, tls=None, implicit=False, users=None, port=None):
        self.users = users
        self.logins = []
        self.context = None
        if tls:
            self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.context.load_cert_chain(*map(str, tls))
        self.implicit = implicit
        super().__init__(Handler(), hostname="127.0.0.1", port=port or free_port(), ssl_context=self.context if implicit else None)

    def authenticate(self, server, session, envelope, mechanism, data):
        user, password = data.login.decode(), data.password.decode()
        self.logins.append((mechanism, user, password, session.ssl is not None or self.implicit))
        return AuthResult(success=self.users.get(user) == password, handled=False)

    def factory(self):
        starttls = bool(self.context) and not self.implicit
        return SMTP(self.handler, hostname="mail.test", tls_context=self.context if starttls else None, require_starttls=starttls,
                    auth_required=bool(self.users), auth_require_tls=not self.implicit,
                    authenticator=self.authenticate if self.users else None)

    @property
    def mails(self):
        return self.handler.mails

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def parsed(self, i=-1):
        return email.message_from_bytes(self.mails[i][1], policy=email.policy.default)


class Exim:
    """A private exim: takes mail for @example.net into files of the folder, after a login over STARTTLS."""

    def __init__(self, folder, certificate, key, user, password):
        self.folder, self.port = folder / "exim", free_port()
        self.inbox = self.folder / "inbox"
        self.inbox.mkdir(parents=True)
        self.inbox.chmod(0o777)
        spool = self.folder / "spool"
        spool.mkdir()
        conf = self.folder / "conf"
        for path in (certificate, key):  # it reads them as its own user
            copied = self.folder / path.name
            copied.write_bytes(path.read_bytes())
            copied.chmod(0o644)
        conf.write_text(f"""
primary_hostname = mail.test
spool_directory = {spool}
log_file_path = {self.folder}/log-%slog
pid_file_path = {self.folder}/pid
exim_user = root
exim_group = root
never_users =
daemon_smtp_ports = {self.port}
local_interfaces = 127.0.0.1
tls_advertise_hosts = *
tls_certificate = {self.folder}/{certificate.name}
tls_privatekey = {self.folder}/{key.name}
auth_advertise_hosts = ${{if eq{{$tls_in_cipher}}{{}}{{}}{{*}}}}
acl_smtp_rcpt = check_rcpt
acl_smtp_data = check_data
host_lookup =
rfc1413_query_timeout = 0s
queue_only_load = 1000
begin acl
check_rcpt:
  deny message = log in first
       !authenticated = *
  defer message = greylisted, come back
       local_parts = grey
       !condition = ${{if exists{{{self.folder}/known}}}}
  deny message = no such mailbox
       local_parts = nobody-here
  accept
check_data:
  deny message = bad header syntax
       !verify = header_syntax
  accept
begin routers
here:
  driver = accept
  transport = file
begin transports
file:
  driver = appendfile
  directory = {self.inbox}
  maildir_format
  user = nobody
  envelope_to_add
  return_path_add
begin authenticators
plain:
  driver = plaintext
  public_name = PLAIN
  server_prompts = :
  server_condition = ${{if and{{{{eq{{$auth2}}{{{user}}}}}{{eq{{$auth3}}{{{password}}}}}}}}}
  server_set_id = $auth2
""")
        conf.chmod(0o644)
        self.folder.chmod(0o755)
        folder.chmod(0o755)  # mails are written by another user
        self.process = Process(folder, "exim-daemon", ["exim4", "-C", conf, "-bdf", "-q1h"])
        wait_for(lambda: (self.folder / "log-mainlog").exists() and "listening for SMTP" in (self.folder / "log-mainlog").read_text(), 20,
                 what="exim to listen")

    def know(self):
        """What was greylisted is let in from now on."""
        (self.folder / "known").touch()

    def mails(self, address):
        """Those that came for an address: they bear a header that says for whom."""
        found = [path.read_bytes() for path in sorted(self.inbox.glob("new/*"))]
        return [mail for mail in found if re.search(rb"(?im)^Envelope-to: " + re.escape(address.encode()), mail)]

    @property
    def log(self):
        return (self.folder / "log-mainlog").read_text()

    def stop(self):
        self.process.end(signal.SIGTERM)
