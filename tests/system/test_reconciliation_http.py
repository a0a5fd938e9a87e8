# SPDX-License-Identifier: MIT
"""Plugin reconciliation, mode http, against a stand-in for the platform's backend that fails in every way; rows 30 to 33 of the fault matrix."""

import datetime
import json
import re
import socket

import pytest

from certificates import Authority
from harness import SANITIZED, always, counter, free_port, samples, wait_for
from reconciliation import KEY, ask_for_run, configuration, http, http_configuration, requested_run, run_of, task_of, wait_run, wait_task

GOOD = {"last_run_at": "2026-11-25T12:00:00+00:00", "status": "success", "missing_count": 3, "queued_count": 2, "error": None}
OBSERVED = "observed-2026-11-25T12:00:00.000Z"


@pytest.fixture
def backend(make_tool):
    made = make_tool("backend.py")
    made.say("status " + json.dumps(GOOD))
    return made


@pytest.fixture
def watched(daemon, backend):
    """The daemon on the backend, which it has seen well; its samples, log and tables must never show the key."""
    daemon.start(http_configuration(daemon, backend.url, request_timeout="2s"))
    daemon.wait_state("up", name="reconciliation")
    yield daemon
    assert_no_key(daemon)


@pytest.fixture
def start(daemon, backend):
    """start("code 500"): the daemon on a backend that answers so; the key is shown nowhere then either."""

    def start_in(mode, **options):
        backend.say(f"mode {mode}")
        daemon.start(http_configuration(daemon, backend.url, **{"request_timeout": "700ms", **options}), wait=False)

    yield start_in
    assert_no_key(daemon)


def assert_no_key(daemon):
    tables = [table["name"] for table in daemon.get("/api/v1/tables")["tables"]]
    shown = [daemon.stderr, daemon.process.stdout, *(json.dumps(daemon.rows(table)) for table in tables)]
    assert {"runs", "events", "instances"} <= set(tables) and not [text for text in shown if KEY in text]


def seconds_until_next_try(daemon):
    row = daemon.instance("reconciliation")
    now = datetime.datetime.now(datetime.timezone.utc)
    return (datetime.datetime.fromisoformat(row["next_try"].replace("Z", "+00:00")) - now).total_seconds()


def last_value(daemon, metric):
    found = [s["value"] for s in samples(daemon) if s["metric"] == metric]
    return found[-1] if found else None


def has_ceased(daemon, metric):
    """The gauge is not given any more: newer samples of the instance are without it."""
    of_ours = [s for s in samples(daemon) if s["instance"] == "reconciliation"]
    newest = max((s["seconds"] for s in of_ours), default=0)
    return of_ours and max((s["seconds"] for s in of_ours if s["metric"] == metric), default=0) < newest - 1.5


@pytest.mark.sanitize
def test_a_run_that_the_backend_reports(watched, backend):
    row = wait_run(watched, OBSERVED, status="success", missing_count=3, queued_count=2)
    assert (row["origin"], row["task_id"], row["finished_at"]) == ("observed", None, "2026-11-25T12:00:00.000Z")
    wait_for(lambda: last_value(watched, "reconciliation_last_run_success") == 1)
    wait_for(lambda: last_value(watched, "reconciliation_missing") == 3 and last_value(watched, "reconciliation_queued") == 2)
    assert counter(watched, "reconciliation_runs_total", "reconciliation", status="success") == 0  # it was found, not seen to end

    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    failed = {**GOOD, "last_run_at": soon.isoformat(), "status": "error", "error": f"no database for +14155550132, key {KEY}"}
    backend.say("status " + json.dumps(failed))
    row = wait_for(lambda: next((r for r in watched.rows("runs") if r["status"] == "error"), None))
    assert row["error"] == "no database for +1••••••0132, key ***"
    wait_for(lambda: last_value(watched, "reconciliation_last_run_success") == 0)
    wait_for(lambda: counter(watched, "reconciliation_runs_total", "reconciliation", status="error") == 1)
    assert backend.stats()["keys"] == [KEY]


# ---- 30: refusals ----


@pytest.mark.parametrize("mode, reason", [
    ("code 401", "the API key is refused (401 Unauthorized): compare api_key_file"),
    ("code 403", "the API key is refused (403 Forbidden)"),
    ("code 404", "no such endpoint (404 Not Found)"),
    ("code 500", "answers 500 Internal Server Error: no: *** is what you said, +1••••••0132"),
    ("code 503", "503 Service Unavailable"),
    ("text nonsense", "no JSON object"),
    ("text {}", "neither status nor last_run_at"),
])
def test_fault_30_what_the_backend_refuses_is_a_reason(daemon, start, mode, reason):
    start(mode)
    daemon.wait_state("down", reason, name="reconciliation")
    assert 0 < seconds_until_next_try(daemon) <= 31


def test_fault_30_what_was_known_stays_and_gauges_stop(watched, backend):
    wait_for(lambda: last_value(watched, "reconciliation_missing") == 3)
    backend.say("mode code 503")
    watched.wait_state("down", "503", name="reconciliation")
    assert run_of(watched, OBSERVED)["status"] == "success"
    wait_for(lambda: has_ceased(watched, "reconciliation_missing"))
    backend.say("mode ok")
    watched.wait_state("up", name="reconciliation", deadline=40)


@pytest.mark.parametrize("value, least, most", [
    ("45", 35, 45), ("1000000000", 3500, 3600), ("Wed, 25 Nov 2099 12:00:00 GMT", 3500, 3600), ("soon", 0, 31)])
def test_fault_30_retry_after_is_obeyed_up_to_an_hour(daemon, backend, start, value, least, most):
    start(f"code 429 {value}")
    daemon.wait_state("down", "429 Too Many Requests", name="reconciliation")
    assert least <= seconds_until_next_try(daemon) <= most
    if value == "45":
        always(lambda: backend.stats()["GET"] == 1, 3)


# ---- 31: what never ends ----


@pytest.mark.parametrize("mode, reason", [
    ("silent", "no answer within 700ms"),
    ("drip", "within 700ms"),
    ("endless", "too large"),
    ("large", "too large"),
    ("bomb", "too large"),
    ("headers", "too large"),
    ("garbage", "does not speak HTTP"),
    ("break", "broke off after 1 bytes"),
    ("reset", "closed without an answer"),
])
def test_fault_31_an_answer_without_end_is_given_up(daemon, backend, start, mode, reason):
    start(mode)
    daemon.wait_state("down", reason, name="reconciliation")
    assert backend.stats()["sent"] < 64 << 20
    assert SANITIZED or daemon.process.rss_kib() < 48 << 10


def test_fault_31_after_a_silence_it_comes_back_by_itself(daemon, backend, start):
    start("silent")
    daemon.wait_state("down", "no answer within", name="reconciliation")
    backend.say("mode ok")
    daemon.wait_state("up", name="reconciliation", deadline=40)


# ---- 32: redirects ----


@pytest.mark.parametrize("where", ["http://169.254.169.254/latest", "file:///etc/passwd", "/elsewhere"])
def test_fault_32_a_redirect_is_refused_and_the_key_stays_here(daemon, start, where):
    start(f"redirect {where}?key={KEY}")
    daemon.wait_state("down", "redirect refused", name="reconciliation")
    assert "passwd" not in daemon.state("reconciliation")[1]


def test_fault_32_no_request_reaches_the_host_of_a_redirect(daemon, start, make_tool):
    other = make_tool("backend.py")
    start(f"redirect {other.url}/x")
    daemon.wait_state("down", f"points to {other.url.rsplit(':', 1)[0]}", name="reconciliation")
    assert other.stats() == {"GET": 0, "POST": 0, "keys": [], "task_ids": [], "idempotency": [], "sent": 0}


def test_a_proxy_of_the_environment_is_not_used(daemon, backend):
    nobody = f"http://127.0.0.1:{free_port()}"
    daemon.start(http_configuration(daemon, backend.url), env={"http_proxy": nobody, "https_proxy": nobody, "ALL_PROXY": nobody})
    daemon.wait_state("up", name="reconciliation")


# ---- 33: TLS ----


def tls_backend(make_tool, authority, name, *more, **issue):
    pem, key = authority.issue(name, **issue)
    made = make_tool("backend.py", "--tls", pem, key, *more)
    made.say("status " + json.dumps(GOOD))
    return made


@pytest.fixture
def authority(folder):
    return Authority(folder)


def start_on(daemon, url, **options):
    daemon.start(http_configuration(daemon, url, **options), wait=False)


@pytest.mark.sanitize
def test_fault_33_a_sound_certificate_and_one_of_our_own(daemon, make_tool, authority, client):
    ours, our_key = authority.issue("callwatch")
    backend = tls_backend(make_tool, authority, "backend", "--client-ca", authority.pem)
    start_on(daemon, backend.url, tls_ca_file=authority.pem, tls_cert_file=ours, tls_key_file=our_key)
    daemon.wait_state("up", name="reconciliation")
    assert run_of(daemon, OBSERVED)["status"] == "success"
    done = client("doctor", "reconciliation", "--format", "json")
    rungs = {c["check"]: (c["verdict"], c["text"]) for c in json.loads(done.stdout)["instances"][1]["checks"]}
    assert rungs["tls"][0] == "warning" and re.search(r"it ends on 20\d\d-\d\d-\d\d, in .*: renew it", rungs["tls"][1])  # in two days


@pytest.mark.parametrize("issue, trust, reason", [
    ({"days": 0}, True, "has expired ("),
    ({"names": "DNS:other.example.net"}, True, "is for another name"),
    ({}, False, "of no authority we trust"),
])
def test_fault_33_a_certificate_that_is_wrong_is_said_in_words(daemon, make_tool, authority, issue, trust, reason):
    backend = tls_backend(make_tool, authority, "backend", **issue)
    start_on(daemon, backend.url, **({"tls_ca_file": authority.pem} if trust else {}))
    daemon.wait_state("down", reason, name="reconciliation")
    if "days" in issue:
        assert re.search(r"expired \(\w{3} +\d+ [\d:]+ 20\d\d GMT\)", daemon.state("reconciliation")[1])
    assert backend.stats()["GET"] == 0  # the key was said to nobody


def test_fault_33_a_self_signed_certificate_is_said_to_be_one(daemon, make_tool, authority, folder):
    self_signed = Authority(folder, "self")
    backend = make_tool("backend.py", "--tls", self_signed.pem, self_signed.key)
    start_on(daemon, backend.url, tls_ca_file=authority.pem)
    daemon.wait_state("down", "self-signed", name="reconciliation")


def test_fault_33_another_name_may_be_said(daemon, make_tool, authority):
    backend = tls_backend(make_tool, authority, "backend", names="DNS:backend.example.net")
    start_on(daemon, backend.url, tls_ca_file=authority.pem, tls_server_name="backend.example.net")
    daemon.wait_state("up", name="reconciliation")


def test_fault_33_a_tls_that_is_too_old(daemon, make_tool, authority):
    backend = tls_backend(make_tool, authority, "backend", "--old-tls")
    start_on(daemon, backend.url, tls_ca_file=authority.pem)
    daemon.wait_state("down", "TLS older than 1.2", name="reconciliation")


def test_fault_33_a_certificate_of_ours_that_is_missing(daemon, make_tool, authority):
    backend = tls_backend(make_tool, authority, "backend", "--client-ca", authority.pem)
    start_on(daemon, backend.url, tls_ca_file=authority.pem)
    daemon.wait_state("down", "127.0.0.1", name="reconciliation")
    assert re.search("certificate of ours|closed|reset", daemon.state("reconciliation")[1])  # what comes first of the two


def test_fault_33_no_tls_there_and_nobody_there(daemon, backend, authority):
    start_on(daemon, backend.url.replace("http://", "https://"), tls_ca_file=authority.pem)
    daemon.wait_state("down", "TLS", name="reconciliation")
    daemon.stop()
    start_on(daemon, f"https://127.0.0.1:{free_port()}", tls_ca_file=authority.pem)
    daemon.wait_state("down", "connection refused", name="reconciliation")


def test_fault_33_a_reset_in_the_handshake(daemon, authority):
    with socket.create_server(("127.0.0.1", 0)) as server:
        start_on(daemon, f"https://127.0.0.1:{server.getsockname()[1]}", tls_ca_file=authority.pem)
        peer, _ = server.accept()
        peer.recv(1)
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        peer.close()
        daemon.wait_state("down", "in the TLS handshake", name="reconciliation")


# ---- what cannot be believed, what is late ----


@pytest.mark.parametrize("change, why", [
    ({"last_run_at": None, "status": "unknown"}, "its status is"),
    ({"last_run_at": "1970-01-01T00:00:00"}, "can be no run's"),
    ({"status": None}, "its status is"),
])
def test_a_placeholder_is_not_shown_as_a_report(daemon, backend, change, why):
    backend.say("status " + json.dumps({**GOOD, **change}))
    daemon.start(http_configuration(daemon, backend.url, expected_every="2s"))
    daemon.wait_state("degraded", why, name="reconciliation")
    wait_for(lambda: last_value(daemon, "reconciliation_late") == 1)
    assert daemon.rows("runs") == []
    assert last_value(daemon, "reconciliation_missing") is None
    backend.say("status " + json.dumps(GOOD))
    daemon.wait_state("up", name="reconciliation")
    wait_run(daemon, OBSERVED, status="success")


def test_an_answer_that_never_changes_though_a_run_was_due(daemon, backend):
    daemon.start(http_configuration(daemon, backend.url, expected_every="2s"))
    wait_run(daemon, OBSERVED, status="success")
    daemon.wait_state("degraded", "a run was due twice", name="reconciliation")
    assert daemon.rows("runs") == []


def test_since_when_nothing_ran_is_known_across_a_restart(daemon, backend):
    backend.say("status " + json.dumps({**GOOD, "last_run_at": None, "status": None}))
    text = http_configuration(daemon, backend.url, expected_every="4s")
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    assert last_value(daemon, "reconciliation_late") is None  # not known is not zero
    kept = json.loads((daemon.folder / "state/reconciliation/runs").read_text().split("\n")[1])
    daemon.process.kill()
    daemon.start(text)
    wait_for(lambda: last_value(daemon, "reconciliation_late") == 1)
    assert json.loads((daemon.folder / "state/reconciliation/runs").read_text().split("\n")[1])["watching_since"] == kept["watching_since"]


def test_runs_outlive_the_process_and_a_damaged_file_is_set_aside(daemon, backend):
    text = http_configuration(daemon, backend.url)
    daemon.start(text)
    wait_run(daemon, OBSERVED, status="success")
    daemon.stop()
    backend.say("mode silent")
    daemon.start(text, wait=False)
    wait_run(daemon, OBSERVED, status="success")
    daemon.process.kill()
    file = daemon.folder / "state/reconciliation/runs"
    whole = file.read_bytes()
    file.write_bytes(whole[:-20])
    daemon.start(text, wait=False)
    wait_for(lambda: "is damaged and is set aside" in daemon.stderr)
    assert (daemon.folder / "state/reconciliation/runs.damaged").read_bytes() == whole[:-20]
    wait_for(lambda: daemon.rows("runs") == [], what="the daemon to listen")


def test_two_instances_beside_each_other(daemon, backend, make_tool):
    other = make_tool("backend.py")
    other.say("status " + json.dumps({**GOOD, "status": "error"}))
    more = f"  - {{ plugin: reconciliation, name: other, url: \"{other.url}\" }}\n"
    daemon.start(configuration(daemon, {"url": f'"{backend.url}"'}, more=more))
    wait_for(lambda: {(r["instance"], r["status"]) for r in daemon.rows("runs")} == {("reconciliation", "success"), ("other", "error")})


def test_doctor_climbs_to_the_broken_rung(daemon, backend, client):
    daemon.start(http_configuration(daemon, backend.url))
    daemon.wait_state("up", name="reconciliation")

    def rungs(code):
        done = client("doctor", "reconciliation", "--format", "json")
        assert done.returncode == code, done.stdout
        assert KEY not in done.stdout
        return {c["check"]: (c["verdict"], c["text"]) for c in json.loads(done.stdout)["instances"][1]["checks"]}

    wait_run(daemon, OBSERVED, status="success")
    assert {verdict for verdict, _ in rungs(0).values()} == {"ok"}
    backend.say("mode code 401")
    assert rungs(1)["auth"][0] == "failed"
    backend.say("mode text nonsense")
    assert rungs(1)["answer"] == ("failed", "the answer is no JSON object: is this the platform's status endpoint?")


# ---- action `run`, and the platform's two endpoints ----


def in_a_second(**change):
    soon = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=1)
    return "status " + json.dumps({**GOOD, "last_run_at": soon.isoformat(), **change})


@pytest.mark.sanitize
def test_a_run_from_trigger_to_success(watched, backend):
    wait_run(watched, OBSERVED, status="success")
    task = ask_for_run(watched)
    row = requested_run(watched, status="queued")
    stats = wait_for(lambda: backend.stats()["task_ids"] and backend.stats())
    row = wait_run(watched, stats["task_ids"][0], status="queued")
    assert row["task_id"] == row["run_id"]
    wait_for(lambda: task_of(watched, task)["text"] == row["run_id"])
    assert stats["POST"] == 1 and stats["keys"] == [KEY] and stats["idempotency"][0].startswith("requested-")
    backend.say(in_a_second(missing_count=7, queued_count=6))
    wait_task(watched, task, "success", "7 missing, 6 queued again")
    requested_run(watched, status="success", missing_count=7, queued_count=6)
    assert len(watched.rows("runs")) == 2  # the one it was, and not once more as an observed one


def test_a_run_that_is_reported_at_work_is_not_lost_and_its_end_is_not_another_run(daemon, backend):
    daemon.start(http_configuration(daemon, backend.url, lost_after="2s"))
    wait_run(daemon, OBSERVED, status="success")
    task = ask_for_run(daemon)
    backend.say(in_a_second(status="running", missing_count=None, queued_count=None))
    row = requested_run(daemon, status="running")
    wait_for(lambda: run_of(daemon, row["run_id"])["duration_seconds"] > 3.5)  # longer than lost_after
    requested_run(daemon, status="running")
    backend.say("status " + json.dumps({**GOOD, "last_run_at": (datetime.datetime.now(datetime.timezone.utc)
                                                               + datetime.timedelta(seconds=30)).isoformat()}))
    wait_task(daemon, task, "success")
    assert requested_run(daemon, status="success")["run_id"] == row["run_id"]
    assert len(daemon.rows("runs")) == 2


def test_what_is_reported_long_after_a_run_was_lost_is_not_that_run(daemon, backend):
    backend.say("status " + json.dumps({**GOOD, "last_run_at": None, "status": None}))
    daemon.start(http_configuration(daemon, backend.url, lost_after="1s"))
    daemon.wait_state("up", name="reconciliation")
    lost = wait_task(daemon, ask_for_run(daemon), "lost", "nobody knows what became of it")
    asked = datetime.datetime.fromisoformat(lost["asked_at"].replace("Z", "+00:00"))
    wait_for(lambda: (datetime.datetime.now(datetime.timezone.utc) - asked).total_seconds() > 3)
    backend.say(in_a_second())
    wait_for(lambda: {row["origin"] for row in daemon.rows("runs")} == {"requested", "observed"})
    requested_run(daemon, status="lost")


@pytest.mark.parametrize("said", [KEY.replace("-", "\\u002d"), "x" * 310 + KEY], ids=["with escapes", "where a text is cut"])
def test_a_key_in_an_error_is_not_shown(daemon, start, said):
    start("text " + json.dumps({**GOOD, "status": "error", "error": "SAID"}).replace("SAID", said))
    row = wait_run(daemon, OBSERVED, status="error")
    assert "canary" not in row["error"]


@pytest.mark.parametrize("mode, reason", [
    ("code 401", "the API key is refused"), ("code 409", "409 Conflict: no: ***"), ("redirect http://elsewhere/", "redirect refused")])
def test_fault_30_a_run_that_is_refused_is_none(watched, backend, mode, reason):
    backend.say("only POST")
    backend.say(f"mode {mode}")
    wait_task(watched, ask_for_run(watched), "error", reason)
    assert [row["origin"] for row in watched.rows("runs")] == ["observed"]
    assert backend.stats()["POST"] == 1


@pytest.mark.parametrize("mode", ["code 500", "silent", "reset"])
def test_fault_30_a_run_without_a_clear_answer_is_lost_not_repeated_and_may_be_found(watched, backend, mode):
    backend.say("only POST")
    backend.say(f"mode {mode}")
    wait_task(watched, ask_for_run(watched), "lost", "it may or may not have been taken: ")
    requested_run(watched, status="lost")
    backend.say(in_a_second())
    requested_run(watched, status="success", missing_count=3)
    assert backend.stats()["POST"] == 1


def test_fault_30_a_run_is_not_asked_for_before_retry_after(watched, backend):
    backend.say("only POST")
    backend.say("mode code 429 1000")
    wait_task(watched, ask_for_run(watched), "error", "asks us to wait 16m")
    wait_task(watched, ask_for_run(watched), "error", "the backend asked us to wait")
    assert backend.stats()["POST"] == 1


def test_a_run_whose_report_is_a_placeholder_is_lost(daemon, backend):
    backend.say("status " + json.dumps({**GOOD, "last_run_at": None, "status": "unknown"}))
    daemon.start(http_configuration(daemon, backend.url, lost_after="2s"))
    daemon.wait_state("degraded", "placeholder", name="reconciliation")
    wait_task(daemon, ask_for_run(daemon), "lost", "does not report runs")
    requested_run(daemon, status="lost")


@pytest.mark.parametrize("mode", ["code 401", "code 429 3000", "silent", "text nonsense"])
def test_fault_30_a_run_is_lost_when_the_backend_tells_nothing_any_more(daemon, backend, mode):
    daemon.start(http_configuration(daemon, backend.url, lost_after="3s", request_timeout="1s"))
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    wait_for(lambda: backend.stats()["task_ids"])
    backend.say(f"mode {mode}")
    wait_task(daemon, task, "lost", "the backend cannot be asked now, nothing was heard of it within 3s")
    requested_run(daemon, status="lost")


def test_a_run_that_was_at_work_when_the_backend_went_away_is_lost_until_its_end_is_reported(daemon, backend):
    text = http_configuration(daemon, backend.url, lost_after="8s")
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    task = ask_for_run(daemon)
    backend.say(in_a_second(status="running", missing_count=None, queued_count=None))
    row = requested_run(daemon, status="running")
    backend.say("mode code 503")
    wait_task(daemon, task, "lost", "the backend cannot be asked now", deadline=30)
    backend.say(in_a_second(missing_count=5))
    backend.say("mode ok")
    daemon.stop()
    daemon.start(text)  # which asks at once
    assert requested_run(daemon, status="success", missing_count=5)["run_id"] == row["run_id"]
    assert len(daemon.rows("runs")) == 2


def test_who_cancels_stops_following_and_the_run_goes_on(watched, backend, client):
    task = ask_for_run(watched)
    wait_for(lambda: backend.stats()["task_ids"])
    row = wait_run(watched, backend.stats()["task_ids"][0], status="queued")
    assert client("trigger", "--cancel", task).returncode == 0
    wait_task(watched, task, "cancelled", f"run {row['run_id']} goes on")
    wait_task(watched, ask_for_run(watched), "error", f"run {row['run_id']} is still queued")
    backend.say(in_a_second())
    assert requested_run(watched, status="success")["run_id"] == row["run_id"]


def test_a_run_asked_for_when_callwatch_is_killed_is_known_and_not_asked_for_again(daemon, backend):
    text = http_configuration(daemon, backend.url, lost_after="3s")
    daemon.start(text)
    daemon.wait_state("up", name="reconciliation")
    backend.say("only POST")
    backend.say("mode silent")
    ask_for_run(daemon)
    wait_for(lambda: backend.stats()["POST"] == 1)
    daemon.process.kill()
    daemon.start(text)
    requested_run(daemon, status="queued", task_id=None)
    requested_run(daemon, status="lost")
    assert backend.stats()["POST"] == 1


def test_the_client_follows_a_run_to_its_end(watched, backend, client):
    backend.say("only POST")
    backend.say("mode code 401")
    done = client("trigger", "reconciliation", "--wait")
    assert done.returncode == 1 and "the API key is refused" in done.stdout + done.stderr
    backend.say("mode ok")
    done = client("trigger", "reconciliation")
    assert done.returncode == 0, done.stdout + done.stderr
    run = requested_run(watched, status="queued")
    done = client("trigger", "reconciliation")
    assert done.returncode == 1 and run["run_id"]  # one at a time
    backend.say(in_a_second(status="error", error="no database"))
    requested_run(watched, status="error", error="no database")


def test_the_platform_s_endpoints_are_answered_with_the_truth(daemon, backend):
    key = daemon.folder / "endpoint.key"
    key.write_text("endpoint-key\n")
    key.chmod(0o600)
    path = "/api/v1/internal/admin/reconciliation"
    backend.say("status " + json.dumps({**GOOD, "last_run_at": None, "status": None}))
    daemon.start(http_configuration(daemon, backend.url))
    assert http(daemon, "GET", f"{path}/status", **{"X-API-Key": "endpoint-key"})[0] == 404  # not switched on
    daemon.stop()
    daemon.start(http_configuration(daemon, backend.url, endpoint_api_key_file=key))
    daemon.wait_state("up", name="reconciliation")
    assert http(daemon, "GET", f"{path}/status", **{"X-API-Key": "wrong"})[0] == 401
    nothing = {"last_run_at": None, "status": None, "missing_count": None, "queued_count": None, "error": None}
    assert http(daemon, "GET", f"{path}/status", **{"X-API-Key": "endpoint-key"}) == (200, nothing)
    status, answer = http(daemon, "POST", f"{path}/trigger", **{"X-API-Key": "endpoint-key"})
    assert (status, answer) == (200, {"task_id": backend.stats()["task_ids"][0]})
    backend.say(in_a_second(missing_count=4))
    row = requested_run(daemon, status="success")
    expected = {"last_run_at": row["finished_at"], "status": "success", "missing_count": 4, "queued_count": 2, "error": None}
    assert http(daemon, "GET", f"{path}/status", **{"X-API-Key": "endpoint-key"}) == (200, expected)
