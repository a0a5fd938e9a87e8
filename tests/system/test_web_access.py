# SPDX-License-Identifier: MIT
"""Users and tokens of the plugin web over TCP: every route for everybody, guesses, pages of other sites; the commands that make them."""

import base64
import hashlib
import itertools
import os
import pty
import re
import signal
import subprocess

import pytest
import yaml

from harness import BUILD, SLOWER, TOP, free_port, run_once, wait_for
from web_raw import ask, config

PASSWORD = "correct horse"
TOKENS = {"viewer": "cwt_viewer-token", "operator": "cwt_operator-token", "expired": "cwt_expired-token"}


def client(*arguments, stdin=None):
    return subprocess.run([str(BUILD / "bin/callwatch"), *map(str, arguments)], capture_output=True, text=True, input=stdin, timeout=30 * SLOWER)


def sha256(token):
    return "sha256:" + hashlib.sha256(token.encode()).hexdigest()


@pytest.fixture(scope="module")
def password_hash():
    return yaml.safe_load(client("passwd", "--name", "ada", stdin=PASSWORD + "\n").stdout)["users"][0]["password_hash"]


@pytest.fixture
def options(password_hash):
    return "\n".join([
        f"users: [{{ name: ada, password_hash: '{password_hash}' }}, {{ name: otto, role: operator, password_hash: '{password_hash}' }}]", "tokens:",
        f"  - {{ name: viewer, token_hash: '{sha256(TOKENS['viewer'])}' }}",
        f"  - {{ name: operator, role: operator, token_hash: '{sha256(TOKENS['operator'])}', expires: 2200-01-01 }}",
        f"  - {{ name: expired, role: operator, token_hash: '{sha256(TOKENS['expired'])}', expires: 2020-01-31 }}"])


@pytest.fixture
def port():
    return free_port()


@pytest.fixture
def web(daemon, port, options, redis):
    redis.client.hset("call_ctx:CA1", mapping={"business_id": "b", "from_phone_number": "+14155550132", "start_time": "2026-11-22T13:30:00Z"})
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], redis, options))
    daemon.wait_total(1)
    return daemon


def basic(name, password):
    return "Authorization: Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()


def bearer(token):
    return "Authorization: Bearer " + token


# -- every route for everybody -----------------------------------------------------------------------------------------

WHO = {  # header, role
    "nobody": (None, None),
    "a wrong password": (basic("ada", "wrong"), None),
    "a user there is not": (basic("eve", PASSWORD), None),
    "another one's name": (basic("Ada", PASSWORD), None),
    "a wrong token": (bearer("cwt_nobody-token"), None),
    "a hash for its token": (bearer(sha256(TOKENS["operator"])), None),
    "a token that has expired": (bearer(TOKENS["expired"]), None),
    "another scheme": ("Authorization: Digest username=\"ada\"", None),
    "nonsense": ("Authorization: Basic \x7f\x7f", None),
    "an empty header": ("Authorization:", None),
    "a user who is a viewer": (basic("ada", PASSWORD), "viewer"),
    "a user who is an operator": (basic("otto", PASSWORD), "operator"),
    "a viewer's token": (bearer(TOKENS["viewer"]), "viewer"),
    "an operator's token": (bearer(TOKENS["operator"]), "operator"),
}
JSON = ["Content-Type: application/json", "Content-Length: 0"]
ROUTES = [  # method, target, what a viewer gets, what an operator gets; all others get 401
    ("GET", "/metrics", 200, 200), ("HEAD", "/metrics", 200, 200), ("GET", "/api/v1/status", 200, 200), ("GET", "/api/v1/tables", 200, 200),
    ("GET", "/api/v1/tables/calls", 200, 200), ("GET", "/api/v1/tables/calls/CA1", 200, 200), ("GET", "/api/v1/tables/calls/nobody", 404, 404),
    ("GET", "/api/v1/tables/nothing", 404, 404), ("GET", "/api/v1/tables/calls?nonsense=1", 400, 400), ("GET", "/api/v1/tables/calls?reveal=true", 403, 200),
    ("GET", "/api/v1/doctor", 403, 200), ("GET", "/api/v1/doctor/web", 403, 200), ("GET", "/api/v1/config/diff", 403, 200),
    ("GET", "/api/v1/actions", 200, 200), ("POST", "/api/v1/actions/calls/nothing", 403, 404), ("GET", "/api/v1/tasks/nothing", 404, 404),
    ("DELETE", "/api/v1/tasks/nothing", 403, 404),
    ("GET", "/api/v1/silences", 200, 200), ("POST", "/api/v1/silences", 403, 400), ("GET", "/api/v1/silences/nothing", 404, 404),
    ("DELETE", "/api/v1/silences/nothing", 403, 404), ("POST", "/api/v1/acks", 403, 400), ("POST", "/api/v1/rules/nothing/test", 403, 404),
    ("GET", "/api/v1/events", 200, 200), ("POST", "/api/v1/events", 403, 400),
    ("POST", "/-/reload", 403, 200), ("GET", "/-/reload", 403, 405), ("DELETE", "/api/v1/tables/calls", 405, 405), ("GET", "/", 404, 404),
    ("GET", "/nothing", 404, 404), ("POST", "/nothing", 404, 404), ("GET", "/api/v1/tables/", 404, 404), ("GET", "/index.html", 404, 404),
]


def test_security_08_no_route_is_left_out_of_the_table():
    """A new route is a line in ROUTES too, for each method that it answers."""
    code = (TOP / "plugins/web/route.c").read_text()
    patterns = re.findall(r'^\t\{"(/[^"]*)", ([A-Z_ |]+), ROLE_(?:VIEWER|OPERATOR),', code, re.M)
    assert len(patterns) > 8
    for pattern, flags in patterns:
        for method in re.findall(r"ROUTE_(GET|POST|DELETE)", flags):
            form = re.compile(re.escape(pattern).replace(r"\{\}", "[^/?]+") + r"(\?.*)?")
            assert any(asked == method and form.fullmatch(target) for asked, target, _, _ in ROUTES), f"{method} {pattern}"


@pytest.mark.sanitize
def test_security_08_every_route_for_everybody(web, port):
    for who, (header, role) in WHO.items():
        for method, target, viewer, operator in ROUTES:
            answer = ask(port, target, method, [*([header] if header else []), *(JSON if method in ("POST", "DELETE") else [])])
            expected = {None: 401, "viewer": viewer, "operator": operator}[role]
            assert answer.status == expected, (who, method, target, answer.raw[:600])
            if expected == 401:
                assert answer.headers["www-authenticate"] == 'Basic realm="callwatch", charset="UTF-8", Bearer realm="callwatch"'
                assert "allow" not in answer.headers, "nothing is told of what there is"
        for target in ("/-/healthy", "/-/ready"):
            assert ask(port, target, headers=[header] if header else []).status == 200, (who, target)
    revealed = web.rows("events", where="kind=reveal")
    assert {row["by"] for row in revealed} == {"otto from 127.0.0.1", "token operator from 127.0.0.1"}
    assert {row["by"] for row in web.rows("events", where="kind=reload")} == {"otto from 127.0.0.1", "token operator from 127.0.0.1"}
    assert web.request("GET", "/api/v1/status")[0] == 200, "a UNIX socket asks nobody"


def test_numbers_are_masked_for_a_viewer_and_shown_to_an_operator(web, port):
    def phone(header, more=""):
        return re.search(rb'"from_phone":"([^"]*)"', ask(port, "/api/v1/tables/calls" + more, headers=[header]).body)[1].decode()

    assert phone(bearer(TOKENS["viewer"])) == phone(bearer(TOKENS["operator"])) == "+1••••••0132"
    assert phone(bearer(TOKENS["operator"]), "?reveal=true") == "+14155550132"


def test_a_listener_for_metrics_asks_nobody_even_if_there_are_users(daemon, port, options):
    metrics = free_port()
    daemon.start(config(daemon, [f"127.0.0.1:{port}", f"{{ address: \"127.0.0.1:{metrics}\", only: metrics }}"], options=options))
    assert ask(metrics, "/metrics").status == 200 and ask(port, "/metrics").status == 401
    assert ask(metrics, "/api/v1/status", headers=[bearer(TOKENS["operator"])]).status == 404


def test_security_08_ten_wrong_guesses_make_an_address_wait(web, port):
    """Who is right is not kept out by who guesses; no name and no secret is echoed, by an answer or by the log."""
    evil = "\x1b]0;evil\x07<script>alert(1)</script>"
    guesses = itertools.count()

    def guess():
        return ask(port, "/metrics", headers=[basic(evil, f"guess-{next(guesses)}")])

    assert [guess().status for _ in range(10)] == [401] * 10
    wait_for(lambda: int(guess().headers.get("retry-after", 0)) >= 3, what="the wait to be longer than this test")
    for header in (basic(evil, "one more"), bearer("cwt_guess-me")):
        answer = ask(port, "/metrics", headers=[header])
        assert answer.status == 429 and int(answer.headers["retry-after"]) >= 1, answer.raw
        assert b"evil" not in answer.raw and b"script" not in answer.raw
    assert ask(port, "/metrics", headers=[bearer(TOKENS["viewer"])]).status == 200
    assert web.request("GET", "/api/v1/status")[0] == 200
    wait_for(lambda: "10 wrong passwords, tokens or keys came from 127.0.0.1" in web.stderr)
    for word in ("evil", "script", "guess-", "\x1b", TOKENS["viewer"], PASSWORD, "argon2id"):
        assert word not in web.stderr, word


# -- pages of other sites ----------------------------------------------------------------------------------------------

def test_security_08_ten_wrong_keys_of_an_endpoint_make_an_address_wait(daemon, port):
    """Also for the right one: people choose keys, and who may go on trying would find it."""
    key = daemon.folder / "key"
    key.write_text("sesame\n")
    key.chmod(0o600)
    job = "  - { plugin: reconciliation, mode: http, url: \"http://127.0.0.1:1\", endpoint_api_key_file: %s }\n" % key
    daemon.start(config(daemon, [f"127.0.0.1:{port}"]) + job)
    path = "/api/v1/internal/admin/reconciliation/status"

    def status(key, to=path):
        return ask(port, to, headers=[f"X-API-Key: {key}"] if key else []).status

    wait_for(lambda: status("sesame") == 200, what="the endpoint")
    for i in range(9):
        assert [status(f"guess-{i}"), status(f"guess-{i}"), status(None)] == [401, 401, 401], "what is said again is no guess"
    assert status("sesame") == 200, "nine are no reason to wait"
    more = itertools.count()
    wait_for(lambda: status(f"more-{next(more)}") in (401, 429) and status("sesame") == 429, what="the right one to have to wait too")
    assert status("sesame", "/api/v1/status") == 200, "what needs no key is not kept from anybody"
    wait_for(lambda: status("sesame") == 200, what="the wait to be over")
    assert "sesame" not in daemon.stderr


def test_security_17_nothing_is_changed_for_a_page_of_another_site(web, port):
    """What a browser would send with the operator's own credentials: only our own page, with JSON, is obeyed."""
    ours = f"http://127.0.0.1:{port}"
    refused = [["Origin: http://evil.com"], ["Origin: null"], ["Origin: http://127.0.0.1"], [f"Origin: https://127.0.0.1:{port}"],
               [f"Origin: http://localhost:{port}"], [f"Origin: {ours}.evil.com"], [f"Origin: {ours} http://evil.com"], ["Origin:  x"],
               ["Sec-Fetch-Site: cross-site"], ["Sec-Fetch-Site: same-site"], ["Sec-Fetch-Site: sAme-oRigin"],
               [f"Origin: {ours}", "Sec-Fetch-Site: cross-site"], ["Origin: http://evil.com", "Sec-Fetch-Site: same-origin"]]
    operator = [bearer(TOKENS["operator"])]

    def post(*headers):
        return ask(port, "/-/reload", "POST", [*operator, *headers], host=f"127.0.0.1:{port}").status

    for headers in refused:
        assert post(*headers, *JSON) == 403, headers
        assert ask(port, "/api/v1/tables/calls?reveal=true", headers=[*operator, *headers], host=f"127.0.0.1:{port}").status == 403, headers
        assert ask(port, "/api/v1/doctor", headers=[*operator, *headers], host=f"127.0.0.1:{port}").status == 403, headers
        assert ask(port, "/api/v1/tables/calls", headers=[*operator, *headers], host=f"127.0.0.1:{port}").status == 200, "but none may read it"
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/jsonp", "text/json", ""):
        assert post(f"Content-Type: {kind}", "Content-Length: 0") == 415, kind
    assert post("Content-Length: 0") == 415
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"):
        assert ask(port, "/-/reload", method, operator).status in (403, 405, 501), method
    assert not web.rows("events", where="kind=reload") and not web.rows("events", where="kind=reveal"), "none had an effect"
    for headers in ([], [f"Origin: {ours}"], ["Sec-Fetch-Site: same-origin", f"Origin: {ours}"], ["Sec-Fetch-Site: none"]):
        assert post(*headers, *JSON) == 200, headers
    assert post("Content-Type: application/json; charset=utf-8", "Content-Length: 0") == 200


def test_a_proxy_is_believed_if_it_is_listed(daemon, port, options):
    operator = [bearer(TOKENS["operator"]), *JSON]
    public = ["Origin: https://callwatch.example.net"]

    def reload_by(*headers):
        return ask(port, "/-/reload", "POST", [*operator, *headers], host="callwatch.example.net").status

    hosts = "\nallowed_hosts: [callwatch.example.net]"
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options=options + hosts))
    assert reload_by(*public, "X-Forwarded-Proto: https", "X-Forwarded-For: 203.0.113.9") == 403, "an origin with TLS is not ours"
    daemon.configure(config(daemon, [f"127.0.0.1:{port}"], options=options + hosts + "\ntrusted_proxies: [127.0.0.0/8]"))
    daemon.hup()
    wait_for(lambda: reload_by(*public, "X-Forwarded-Proto: https", "X-Forwarded-For: 198.51.100.1, 203.0.113.9") == 200)
    assert reload_by(*public, "X-Forwarded-Proto: http") == 403
    assert wait_for(lambda: "token operator from 203.0.113.9" in {row["by"] for row in daemon.rows("events", where="kind=reload")})


# -- configuration -----------------------------------------------------------------------------------------------------

WRONG = [
    ("users: [{ name: ada }]", "`password_hash` is required"),
    ("users: [{ name: ada, password_hash: secret-word }]", "not an argon2id hash"),
    ("users: [{ name: ada, password_hash: '$argon2id$v=19$m=9999999,t=2,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA' }]", "256 MiB"),
    ("users: [{ name: 'a:b', password_hash: x }]", "no colon"),
    ("users: [{ name: ada, role: root, password_hash: x }]", "one of viewer, operator"),
    ("tokens: [{ name: ci }]", "`token_hash` is required"),
    ("tokens: [{ name: ci, token_hash: secret-word }]", "expected sha256:"),
    ("tokens: [{ name: ci, token_hash: 'sha256:" + "0" * 64 + "', expires: tomorrow }]", "expected a date or a time"),
    ("tokens: [{ name: ci, token_hash: 'sha256:" + "0" * 64 + "' }, { name: ci, token_hash: 'sha256:" + "1" * 64 + "' }]", "two called ci"),
    ("allowed_hosts: ['http://x']", "as browsers send it"),
    ("trusted_proxies: ['10.0.0.1/8']", "an address or a network"),
]


@pytest.mark.parametrize("line, words", WRONG)
def test_what_is_wrong_is_told_at_its_place_without_the_secret(folder, line, words):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: web\n    listen: [127.0.0.1:8470]\n    {line}\n"
    done = run_once(folder, text, "-t", "--secrets")
    said = done.stdout + done.stderr
    assert done.returncode == 78 and words in said and ":6:" in said, said
    assert "secret-word" not in said and "AAAA" not in said


def test_a_file_may_hold_the_hash(daemon, port, password_hash):
    secret = daemon.folder / "ada.hash"
    secret.write_text(password_hash + "\n")
    os.chmod(secret, 0o600)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options="users: [{ name: ada, password_hash_file: ada.hash }]"))
    assert ask(port, "/metrics", headers=[basic("ada", PASSWORD)]).status == 200
    secret.write_text(password_hash[:-20] + "A" * 20 + "\n")
    daemon.hup()
    wait_for(lambda: ask(port, "/metrics", headers=[basic("ada", PASSWORD)]).status == 401, what="the reload to take the file's new content")


def test_security_15_no_secret_is_where_others_look(daemon, port, password_hash):
    """Neither the command line nor the environment, the log, /metrics, the status, a problem or the merged configuration holds one."""
    token, hashed = "cwt_canary-5b1d2f", sha256("cwt_canary-5b1d2f")
    for name, content in (("ada.hash", password_hash), ("ci.hash", hashed)):
        (daemon.folder / name).write_text(content + "\n")
        os.chmod(daemon.folder / name, 0o600)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options="users: [{ name: ada, password_hash_file: ada.hash }]\n"
                        "tokens: [{ name: ci, role: operator, token_hash_file: ci.hash }]"), arguments=["-v"])
    answers = [ask(port, target, headers=[bearer(token)]).raw for target in ("/metrics", "/api/v1/status", "/api/v1/tables/instances", "/api/v1/config/diff", "/no")]
    answers += [ask(port, "/metrics", headers=[basic("ada", PASSWORD)]).raw, ask(port, "/metrics", headers=[basic("ada", "canary-wrong")]).raw]
    assert answers[0].startswith(b"HTTP/1.1 200") and answers[5].startswith(b"HTTP/1.1 200")
    ask(port, "/-/reload", "POST", [bearer(token), *JSON])
    proc = b"".join(open(f"/proc/{daemon.pid}/{name}", "rb").read() for name in ("cmdline", "environ"))
    shown = client("config", "show", "-c", daemon.config_path)
    everything = b"".join(answers) + proc + daemon.stderr.encode() + (shown.stdout + shown.stderr).encode()
    for secret in (token, PASSWORD, "canary", password_hash, hashed, "argon2id"):
        assert secret.encode() not in everything, secret


# -- commands ----------------------------------------------------------------------------------------------------------

def test_what_passwd_and_token_print_lets_in(daemon, port):
    user = client("passwd", "--name", "ada", "--role", "operator", stdin=PASSWORD + "\n")
    token = client("token", "add", "--role", "viewer", "--name", "ci", "--expires", "90d")
    assert user.returncode == token.returncode == 0, user.stderr + token.stderr
    secret, _, rest = token.stdout.partition("\n")
    assert re.fullmatch(r"cwt_[\w-]{43}", secret) and secret not in rest
    lines = user.stdout + rest[rest.index("    tokens:"):]
    assert PASSWORD not in user.stdout
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options="\n".join(line[4:] for line in lines.split("\n"))))
    assert ask(port, "/-/reload", "POST", [basic("ada", PASSWORD), *JSON]).status == 200
    assert ask(port, "/metrics", headers=[bearer(secret)]).status == 200
    token_file = daemon.folder / "token"
    token_file.write_text(secret + "\n")
    os.chmod(token_file, 0o600)
    url = f"http://127.0.0.1:{port}"
    assert client("--url", url, "--token-file", token_file, "status").returncode == 0
    done = subprocess.run([str(BUILD / "bin/callwatch"), "status"], capture_output=True, text=True, timeout=30 * SLOWER,
                          env={**os.environ, "CALLWATCH_URL": url, "CALLWATCH_TOKEN_FILE": str(token_file)})
    assert done.returncode == 0, done.stderr
    done = client("--url", url, "instances")
    assert done.returncode != 0 and "--token-file" in done.stderr, done.stderr
    os.chmod(token_file, 0o644)
    assert "can be read by others" in client("--url", url, "--token-file", token_file, "status").stderr


@pytest.mark.parametrize("arguments, stdin, words", [
    (("passwd",), "short\n", "8 to 256 bytes"), (("passwd",), "", "no password"), (("passwd",), "x" * 257 + "\n", "8 to 256 bytes"),
    (("passwd", "--role", "root"), "long enough\n", "viewer or operator"), (("passwd", "--name", "a b"), "long enough\n", "--name has"),
    (("token", "add"), "", "--role viewer or --role operator"), (("token", "drop", "--role", "viewer"), "", "knows add only"),
    (("token", "add", "--role", "viewer", "--expires", "2020-01-01"), "", "is past"),
    (("token", "add", "--role", "viewer", "--expires", "soon"), "", "--expires is a time"),
])
def test_passwd_and_token_say_what_is_wrong(arguments, stdin, words):
    done = client(*arguments, stdin=stdin)
    assert done.returncode in (1, 2) and words in done.stderr and not done.stdout, (done.stdout, done.stderr)


def talk(answers):
    """callwatch passwd on a terminal; answers each prompt. Its exit code, and all that the terminal showed."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # who runs the tests in the background ignores it
        os.execv(BUILD / "bin/callwatch", ["callwatch", "passwd", "--name", "ada"])
    shown = b""

    def prompted(n):
        nonlocal shown
        shown += os.read(terminal, 4096)
        return shown.count(b": ") >= n

    try:
        for n, text in enumerate(answers, 1):
            wait_for(lambda: prompted(n), what=f"prompt {n}")
            os.write(terminal, text)
        while piece := os.read(terminal, 4096):
            shown += piece
    except OSError:  # it has ended
        pass
    os.close(terminal)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_passwd_on_a_terminal_asks_twice_and_shows_nothing():
    code, shown = talk([b"correct horse\n", b"correct horse\n"])
    assert code == 0 and "correct" not in shown and "password_hash" in shown
    code, shown = talk([b"correct horse\n", b"battery staple\n"])
    assert code == 1 and "another one" in shown and "battery" not in shown
    code, shown = talk([b"\x03"])
    assert code == -2, "Ctrl-C"


def test_a_token_goes_to_this_machine_in_clear_and_to_no_other(daemon, port):
    """Neither to a name that looks like a loopback address, nor through a proxy of the environment."""
    done = subprocess.run([BUILD / "bin/callwatch", "token", "add", "--role", "viewer"], capture_output=True, text=True, check=True)
    token = daemon.folder / "token"
    token.write_text(done.stdout.split("\n")[0] + "\n")
    token.chmod(0o600)
    daemon.start(config(daemon, [f"127.0.0.1:{port}"], options="tokens: [{ name: x, token_hash: \"" + re.search(r"sha256:\w+", done.stdout)[0] + "\" }]"))

    def ask(host):
        return subprocess.run([BUILD / "bin/callwatch", "--url", f"http://{host}:{port}", "--token-file", token, "status"], capture_output=True, text=True,
                              timeout=20 * SLOWER, env={"PATH": os.environ["PATH"], "http_proxy": "http://127.0.0.1:9", "all_proxy": "http://127.0.0.1:9"})

    for host in ("127.0.0.1", "localhost"):
        done = ask(host)
        assert done.returncode in (0, 1) and "platform" in done.stdout, done.stderr
    for host in ("127.example.net", "127.0.0.1.example.net", "localhost.example.net"):
        done = ask(host)
        assert done.returncode == 2 and "in clear" in done.stderr, done.stderr
