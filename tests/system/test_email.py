# SPDX-License-Identifier: MIT
"""Notifier email against real mail servers: aiosmtpd with TLS and logins, and exim. Mails are read by Python's parser."""

import asyncio
import email
import email.policy
import email.utils
import re
import shutil
import socketserver
import threading
import time

import pytest
from certificates import Authority
from harness import BUILD, free_port, run_client, wait_for
from notifiers import Exim, MailServer, Notifier
from notifying import Levels

FROM, OPS, NIGHT, THIRD = "callwatch@example.net", "ops@example.net", "night@example.net", "third@example.net"
USER, PASSWORD = "callwatch", "a secret, with ümlaut"


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("ca"))


@pytest.fixture(scope="module")
def certificate(authority):
    return authority.issue("mail")


@pytest.fixture
def stopping():
    """What is to be stopped after the test, the last first."""
    things = []
    yield lambda thing: things.append(thing) or thing
    for thing in reversed(things):
        thing.stop()


@pytest.fixture
def make_server(stopping):
    def make(**how):
        server = MailServer(**how)
        server.start()
        return stopping(server)
    return make


@pytest.fixture
def make_notifier(folder, stopping):
    def make(server, *settings, to=(OPS,), tls=False, name=None):
        plain = () if tls or any(s.startswith(("require_tls", "username")) for s in settings) else ("require_tls=false",)
        address = server if isinstance(server, str) else server.address
        return stopping(Notifier(folder, "email", f"smarthost={address}", f"from={FROM}", *(f"to={a}" for a in to), *plain,
                                 *settings, name=name))
    return make


def tls_settings(authority):
    return f"tls_ca={authority.pem.read_text()}"


def body(mail, kind):
    return mail.get_body((kind,)).get_content().replace("\r\n", "\n")


# ---- what arrives ----


@pytest.mark.sanitize
def test_a_mail_is_one_that_programs_read(make_server, make_notifier):
    server = make_server()
    notifier = make_notifier(server, "hello=agent.example.net", "headers.X-Team=voice")
    told = notifier.notify(title="call-stale: 37 of 849 calls silent — überall", severity=2, description="What it means.\nWhat to do.",
                           common="worker=ai-7: 37 of 37", url="https://callwatch.example.net/?table=calls",
                           alerts=[{"subject": "CA1", "facts": {"from_phone": "+1••••••0132"}}, {"subject": "CA2", "is_firing": False}])
    assert told["outcome"] == "delivered" and not told["reason"]
    assert server.handler.hello == "agent.example.net"
    to, raw = server.mails[0]
    assert to == OPS and b"\r\n" in raw and not re.search(rb"[^\r]\n", raw) and max(map(len, raw.split(b"\r\n"))) <= 78
    mail = server.parsed()
    assert not mail.defects and all(not part.defects for part in mail.walk())
    assert mail["Subject"] == "[CRITICAL] call-stale: 37 of 849 calls silent — überall"
    assert mail["From"].addresses[0].addr_spec == FROM and mail["To"].addresses[0].addr_spec == OPS
    assert mail["Auto-Submitted"] == "auto-generated" and mail["X-Team"] == "voice"
    assert mail["Message-ID"] == "<0a1b-1-2c3d@example.net>"
    assert mail["References"] == mail["In-Reply-To"] == "<incident.0a1b-1@example.net>"
    assert abs(mail["Date"].datetime.timestamp() - time.time()) < 120
    for kind in ("plain", "html"):
        for words in ("37 of 849 calls silent — überall", "worker=ai-7: 37 of 37", "What to do.", "+1••••••0132", "CA2",
                      "https://callwatch.example.net/?table=calls"):
            assert words in body(mail, kind), (kind, words)


def test_a_digest_is_one_mail(make_server, make_notifier):
    server = make_server()
    notifier = make_notifier(server)
    notices = [{"id": f"{i:x}-1", "incident": f"{i:x}", "title": f"title {i}", "kind": i % 2} for i in range(12)]
    assert notifier.notify(*notices)["outcome"] == "delivered"
    mail = server.parsed()
    assert len(server.mails) == 1 and mail["Subject"] == "[WARNING] 12 notices from callwatch: 6 firing, 6 resolved"
    assert all(f"title {i}\n" in body(mail, "plain") for i in range(12))


# ---- TLS and logins ----


@pytest.mark.sanitize
@pytest.mark.parametrize("implicit", [False, True])
def test_tls_and_a_login(authority, certificate, make_server, make_notifier, implicit):
    server = make_server(tls=certificate, implicit=implicit, users={USER: PASSWORD})
    notifier = make_notifier(server, f"username={USER}", f"password={PASSWORD}", "require_tls=true", tls_settings(authority), tls=True, to=(OPS, NIGHT),
                             *(("implicit_tls=true",) if implicit else ()))
    notifier.wait_state("up")
    assert notifier.notify()["outcome"] == "delivered"
    assert [to for to, _ in server.mails] == [OPS, NIGHT]
    assert all(user == USER and password == PASSWORD and over_tls for _, user, password, over_tls in server.logins)
    assert len(server.logins) == 2  # the try at the start, and one connection for both mails
    for check in ("name", "greeting", "tls", "login"):
        verdict, text = notifier.examine(check)
        assert verdict == ("warning" if check == "tls" else "ok"), text  # it ends within two days


def test_a_login_that_is_refused_waits_for_a_person(authority, certificate, make_server, make_notifier):
    server = make_server(tls=certificate, users={USER: "another"})
    notifier = make_notifier(server, f"username={USER}", f"password={PASSWORD}", "require_tls=true", tls_settings(authority), tls=True)
    notifier.wait_state("down", "the login as callwatch is refused")
    told = notifier.notify()
    assert told["outcome"] == "try again" and "535" in told["reason"] and PASSWORD not in told["reason"]
    assert notifier.examine("tls")[0] == "warning" and notifier.examine("login")[0] == "failed"
    server.users[USER] = PASSWORD
    assert notifier.notify(progress=told["progress"])["outcome"] == "delivered"
    assert notifier.state()["state"] == "up"
    assert PASSWORD not in notifier.err_path.read_text()


def test_a_certificate_that_is_not_right_is_said_in_words(authority, folder, make_server, make_notifier):
    server = make_server(tls=authority.issue("elsewhere", names="DNS:elsewhere.example"))
    notifier = make_notifier(server, "require_tls=true", tls_settings(authority), tls=True)
    notifier.wait_state("down", "for another name")
    told = notifier.notify()
    assert told["outcome"] == "try again" and "for another name" in told["reason"] and not server.mails
    named = make_notifier(server, "require_tls=true", tls_settings(authority), "tls_server_name=elsewhere.example", tls=True, name="named")
    assert named.notify()["outcome"] == "delivered"
    stranger = make_notifier(server, "require_tls=true", "tls_server_name=elsewhere.example", tls=True, name="stranger")
    told = stranger.notify()
    assert told["outcome"] == "try again" and "authority" in told["reason"], told


def test_who_listens_there_is_no_mail_server(make_notifier, folder):
    class Web(socketserver.BaseRequestHandler):
        def handle(self):
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Web) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        notifier = make_notifier(f"127.0.0.1:{server.server_address[1]}")
        notifier.wait_state("down", "does not speak SMTP")
        assert notifier.notify()["outcome"] == "try again"
        assert notifier.examine("name")[0] == "ok" and notifier.examine("greeting")[0] == "failed"
        server.shutdown()


def test_a_dead_server_is_down_with_its_reason_and_back_by_itself(make_notifier):
    port = free_port()
    notifier = make_notifier(f"127.0.0.1:{port}")
    notifier.wait_state("down", f"connection refused (127.0.0.1:{port})")
    assert notifier.notify()["outcome"] == "try again"
    server = MailServer(port=port)
    server.start()
    try:
        notifier.wait_state("up", deadline=30)
    finally:
        server.stop()


# ---- fault 38 ----


def test_fault_38_greylisting_450_is_tried_again_with_the_same_message_id(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: ["450 4.2.0 greylisted, come back"]}}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    told = notifier.notify(attempt=1)
    assert told["outcome"] == "try again" and f"{NIGHT}: 450 4.2.0 greylisted, come back" in told["reason"] and "2 of 3" in told["reason"]
    assert [to for to, _ in server.mails] == [OPS, THIRD]
    assert notifier.state()["state"] == "degraded"
    told = notifier.notify(attempt=2, progress=told["progress"])
    assert told["outcome"] == "delivered" and [to for to, _ in server.mails] == [OPS, THIRD, NIGHT]
    assert len({server.parsed(i)["Message-ID"] for i in range(3)}) == 1
    assert notifier.state()["state"] == "up"


def test_fault_38_421_leaves_the_server_alone(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: ["421 4.3.2 too many connections"]}}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    told = notifier.notify()
    assert told["outcome"] == "try again" and 10 < told["pause"] <= 30 and "421 4.3.2" in told["reason"]
    assert server.handler.tried == [OPS, NIGHT]  # and the third was left alone
    assert notifier.notify(progress=told["progress"])["outcome"] == "delivered"
    assert [to for to, _ in server.mails] == [OPS, NIGHT, THIRD]


def test_fault_38_421_for_one_recipient_keeps_it_from_nobody(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: "421 4.7.0 not this one"}}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    progress = {}
    for attempt in (1, 2, 3):
        progress = {"progress": notifier.notify(attempt=attempt, **progress)["progress"]}
    assert [to for to, _ in server.mails] == [OPS, THIRD]


@pytest.mark.parametrize("script", [{"RCPT": {None: "552 5.2.2 mailbox full"}}, {"DATA": "552 5.3.4 too large"}, {"MAIL": "552 5.3.4 too large"}])
def test_fault_38_552_is_final(make_server, make_notifier, script):
    server = make_server()
    server.handler.script = script
    notifier = make_notifier(server)
    told = notifier.notify()
    assert told["outcome"] == "refused" and "552 5." in told["reason"] and not server.mails
    notifier.wait_state("down", "every recipient is refused")


def test_fault_38_550_is_final_for_that_recipient_only(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: "550 5.1.1 no such user", THIRD: ["451 4.3.0 later"]}}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    told = notifier.notify()
    assert told["outcome"] == "try again" and "1 of 3 recipients have it" in told["reason"]
    server.handler.tried.clear()
    told = notifier.notify(progress=told["progress"])
    assert server.handler.tried == [THIRD]  # neither who has it nor who is refused
    assert told["outcome"] == "delivered" and "2 of 3 recipients have it" in told["reason"]
    assert [to for to, _ in server.mails] == [OPS, THIRD]
    notifier.wait_state("degraded", "2 of 3")


def test_fault_38_starttls_stripped_sends_nothing(authority, make_server, make_notifier):
    server = make_server()  # without TLS, and with whatever ears
    notifier = make_notifier(server, "require_tls=true", f"username={USER}", f"password={PASSWORD}", tls=True)
    notifier.wait_state("down", "does not offer STARTTLS")
    told = notifier.notify()
    assert told["outcome"] == "try again" and "taken it out" in told["reason"]
    assert not server.mails and not server.handler.tried and not server.logins
    assert notifier.examine("greeting")[0] == "ok" and notifier.examine("tls")[0] == "failed"


def test_fault_38_dots_and_line_ends_are_what_they_were(make_server, make_notifier):
    server = make_server()
    notifier = make_notifier(server)
    lines = [".", "..", ".hidden", "end", ".", "", "QUIT", "From here", "trailing blank "]
    assert notifier.notify(description="\n".join(lines))["outcome"] == "delivered"
    assert len(server.mails) == 1
    text = body(server.parsed(), "plain")
    assert [line for line in text.split("\n") if line in lines and line] == [line for line in lines if line]


def test_fault_38_no_header_gets_a_second_line(make_server, make_notifier):
    server = make_server()
    notifier = make_notifier(server)
    for hostile in ("x\r\nBcc: thief@example.net", "x\nSubject: y", "x\r\n\r\nbody", "é\r\nBcc: thief@example.net", "x" * 200 + "\r\nBcc: t@example.net"):
        assert notifier.notify(title=hostile, common=hostile, alerts=[{"subject": hostile, "summary": hostile, "facts": {hostile: hostile}}]
                               )["outcome"] == "delivered"
        mail = server.parsed()
        assert mail["Bcc"] is None and len(mail.get_all("Subject")) == 1 and "\n" not in mail["Subject"]
        assert not mail.defects and len(list(mail.walk())) == 3
    assert {to for to, _ in server.mails} == {OPS}


def test_cut_before_the_answer_is_doubtful_and_marked(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"DATA": ["cut"]}
    notifier = make_notifier(server)
    told = notifier.notify()
    assert told["outcome"] == "doubtful" and "the whole mail was sent" in told["reason"], told
    assert notifier.notify(progress=told["progress"], is_doubtful=True, attempt=2)["outcome"] == "delivered"
    first, second = server.parsed(0), server.parsed(1)
    assert first["Message-ID"] == second["Message-ID"]
    assert "may have reached you before" in body(second, "plain") and "may have reached you before" not in body(first, "plain")


def test_only_who_may_have_it_is_told_so(make_server, make_notifier):
    def who_is_told(since):
        return {to for i, (to, _) in enumerate(server.mails) if i >= since and "may have reached you before" in body(server.parsed(i), "plain")}

    server = make_server()
    server.handler.script = {"DATA": ["cut"], "RCPT": {OPS: [None, "450 4.2.0 come back"], THIRD: ["450 4.2.0 come back"]}}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    first = notifier.notify(attempt=1)
    assert first["outcome"] == "doubtful" and [to for to, _ in server.mails] == [OPS] and not who_is_told(0)
    second = notifier.notify(attempt=2, progress=first["progress"], is_doubtful=True)
    assert second["outcome"] == "try again" and [to for to, _ in server.mails] == [OPS, NIGHT] and not who_is_told(0)
    third = notifier.notify(attempt=3, progress=second["progress"], is_doubtful=True)  # the old doubt is not forgotten
    assert third["outcome"] == "delivered" and {to for to, _ in server.mails[2:]} == {OPS, THIRD} and who_is_told(2) == {OPS}
    # an attempt of which nothing came back: nobody knows of anybody who was open
    assert notifier.notify(attempt=4, progress=second["progress"], is_doubtful=True)["outcome"] == "delivered"
    assert {to for to, _ in server.mails[4:]} == who_is_told(4) == {OPS, THIRD}
    # in one mail with another that nobody has had
    both = [{"id": "0a-1", "attempt": 2, "progress": first["progress"], "is_doubtful": True}, {"id": "0b-1"}]
    assert notifier.notify(*both)["outcome"] == "delivered"
    told = {to: body(server.parsed(i), "plain").count("may have reached you before") for i, (to, _) in enumerate(server.mails) if i >= 6}
    assert told == {OPS: 1, NIGHT: 0, THIRD: 0}


def test_a_server_that_closes_after_each_mail_gets_each_all_the_same(make_server, make_notifier):
    server = make_server()
    server.handler.script = {"DATA": "taken, and closed"}
    notifier = make_notifier(server, to=(OPS, NIGHT, THIRD))
    assert notifier.notify()["outcome"] == "delivered"
    assert [to for to, _ in server.mails] == [OPS, NIGHT, THIRD]


# ---- security row 4, faults 20 and 21 ----


def test_fault_20_and_21_what_strangers_write_is_seen_and_not_obeyed(make_server, make_notifier):
    server = make_server()
    notifier = make_notifier(server)
    hostile = "<script>alert(1)</script>\"'&<!channel>\u202eevil\x1b[31m" + "x" * 1000
    told = notifier.notify(title=hostile, description=hostile, common=hostile, url="javascript:alert(1)",
                           alerts=[{"subject": hostile, "summary": hostile, "url": "https://x/\"><script>", "facts": {f"{i}": hostile for i in range(20)}}
                                   for _ in range(100)])
    assert told["outcome"] == "delivered"
    assert len(server.mails[0][1]) < 1 << 20
    mail = server.parsed()
    html, text = body(mail, "html"), body(mail, "plain")
    assert "<script" not in html and "href=\"javascript" not in html and "&lt;script&gt;" in html
    assert "\x1b" not in html + text and "\u202e" not in html + text and "\\u202e" in text
    assert "…" in text


# ---- another real server ----


@pytest.mark.skipif(not shutil.which("exim4"), reason="exim4-daemon-light is not installed")
def test_exim_takes_it_after_tls_login_and_greylisting(folder, authority, certificate, make_notifier, stopping):
    exim = stopping(Exim(folder, *certificate, USER, "a-secret"))
    notifier = make_notifier(f"127.0.0.1:{exim.port}", "require_tls=true", f"username={USER}", "password=a-secret", tls_settings(authority), tls=True,
                             to=(OPS, "grey@example.net", "nobody-here@example.net"))
    told = notifier.notify(title="überall\r\nBcc: x@example.net", description=".\n..\nend")
    assert told["outcome"] == "try again" and "greylisted, come back" in told["reason"], (told, exim.log)
    exim.know()
    told = notifier.notify(title="überall\r\nBcc: x@example.net", description=".\n..\nend", progress=told["progress"])
    assert told["outcome"] == "delivered" and "2 of 3" in told["reason"], told
    wait_for(lambda: exim.mails(OPS) and exim.mails("grey@example.net"), 20, what=exim.log)
    assert len(exim.mails(OPS)) == len(exim.mails("grey@example.net")) == 1
    parsed = [email.message_from_bytes(exim.mails(who)[0], policy=email.policy.default) for who in (OPS, "grey@example.net")]
    assert parsed[0]["Message-ID"] == parsed[1]["Message-ID"] and "Bcc" not in parsed[0]
    assert parsed[0]["Subject"] == "[WARNING] überall\\r\\nBcc: x@example.net"
    assert "\n.\n\n..\n" in body(parsed[0], "plain")


@pytest.mark.parametrize("to", [(OPS,), (OPS, NIGHT)])
def test_a_server_that_does_not_answer_quit_holds_nothing_up(make_server, make_notifier, to):
    server = make_server()

    async def never(*_):
        await asyncio.sleep(300)

    server.handler.handle_QUIT = never
    begun = time.monotonic()
    assert make_notifier(server, to=to).notify()["outcome"] == "delivered"
    assert time.monotonic() - begun < 40  # libcurl would wait for a minute


# ---- by the way of alerts ----


def test_who_has_it_gets_it_no_second_time_when_it_was_reloaded_meanwhile(daemon, make_server):
    server, held = make_server(), threading.Event()

    async def answer(_, session, envelope, address, options):
        if address == NIGHT and not held.is_set():
            held.set()
            await asyncio.sleep(60)
        envelope.rcpt_tos.append(address)
        return "250 2.1.5 fine"

    server.handler.handle_RCPT = answer
    levels = Levels(daemon)
    text = levels.config(daemon, f'  - {{ plugin: email, smarthost: "{server.address}", from: "{FROM}", to: ["{OPS}", "{NIGHT}"], require_tls: false }}\n')
    daemon.start(text)
    levels.fire(0)
    assert held.wait(20)
    daemon.configure(text.replace("require_tls: false", "require_tls: false, check_every: 4m"))
    daemon.hup()
    wait_for(lambda: NIGHT in [to for to, _ in server.mails], 40, what="the mail to who has waited")
    assert "left behind" not in daemon.stderr
    assert [to for to, _ in server.mails] == [OPS, NIGHT]
    assert "may have reached you before" not in body(server.parsed(), "plain")  # no byte of it had gone out


def test_an_alert_gets_through_a_greylisting_server_and_its_end_is_in_the_same_thread(daemon, make_server):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: ["450 4.2.0 greylisted", "450 4.2.0 greylisted"]}}
    port = free_port()
    daemon.start(f"""
agent: {{ plugin_dir: [{BUILD}/plugins], interval: 1s, state_dir: {daemon.folder}/state }}
plugins:
  - {{ plugin: graphite, name: relay, address: "127.0.0.1:{port}", interval: 1s }}
  - {{ plugin: email, smarthost: "{server.address}", from: "{FROM}", to: ["{OPS}", "{NIGHT}"], require_tls: false }}
  - {{ plugin: web, listen: [unix:{daemon.socket}] }}
notify: {{ group_wait: 100ms, group_interval: 1s }}
rules:
  - {{ name: relay-down, table: instances, where: [instance=relay, state=down], severity: critical, summary: "{{{{ subject }}}} is down" }}
""")
    wait_for(lambda: len(server.mails) >= 2, 40, what="the mail, to both")
    assert [to for to, _ in server.mails] == [OPS, NIGHT] and server.handler.tried == [OPS, NIGHT, NIGHT, NIGHT]
    first = [server.parsed(i) for i in range(2)]
    assert first[0]["Message-ID"] == first[1]["Message-ID"] and first[0]["Subject"].startswith("[CRITICAL] relay-down: relay is down")
    with socketserver.ThreadingTCPServer(("127.0.0.1", port), socketserver.BaseRequestHandler):
        wait_for(lambda: len(server.mails) == 4, 40, what="its end, to both")
        assert run_client(daemon, "trigger", "email", "test", "--yes", "--wait").returncode == 0
    ended = server.parsed(2)
    assert ended["Subject"].startswith("[RESOLVED] relay-down") and ended["References"] == first[0]["References"]
    assert ended["Message-ID"] != first[0]["Message-ID"]
    assert server.parsed(4)["Subject"].startswith("[TEST] ")


def test_fault_38_a_full_mailbox_of_one_keeps_nobody_else_from_the_end(daemon, make_server):
    server = make_server()
    server.handler.script = {"RCPT": {NIGHT: "452 4.2.2 mailbox full"}}
    levels = Levels(daemon, 1)
    daemon.start(levels.config(daemon, f'  - {{ plugin: email, smarthost: "{server.address}", from: "{FROM}", to: ["{OPS}", "{NIGHT}"], require_tls: false }}\n'))
    levels.fire(0)
    wait_for(lambda: len(server.mails) == 1, 20)
    levels.end(0)
    wait_for(lambda: len(server.mails) == 2, 20, what="the end, at who can hear of it")
    assert [to for to, _ in server.mails] == [OPS, OPS] and "RESOLVED" in server.parsed(1)["Subject"]
    server.handler.script = {}
    wait_for(lambda: NIGHT in [to for to, _ in server.mails], 60)
    assert [to for to, _ in server.mails].count(NIGHT) == 1 and "RESOLVED" in server.parsed(2)["Subject"]


def test_what_all_who_are_left_have_refused_is_not_delivered(make_server, make_notifier):
    """Who had not answered yet was taken out of `to`."""
    notifier = make_notifier(make_server())
    assert notifier.notify(progress=f'{{"has":[],"refused":["{OPS}"]}}')["outcome"] == "refused"
    assert notifier.notify(progress=f'{{"has":["{OPS}"],"refused":[]}}')["outcome"] == "delivered"
