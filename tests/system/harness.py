# SPDX-License-Identifier: MIT
"""What system tests are made of: a private Redis, callwatchd, the client, callsim, and waiting for a condition.

Every process is started by a test, on UNIX sockets or free loopback ports below one short temporary folder, and is ended by its pid, so tests
run beside each other. The build under test is named by CALLWATCH_BUILD (default build/release).
"""

import contextlib
import datetime
import fcntl
import http.client
import itertools
import json
import os
import pty
import random
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import termios
import threading
import time
import urllib.parse
from pathlib import Path

import redis as redis_module

TOP = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CALLWATCH_BUILD", TOP / "build/release")).resolve()
BIN = BUILD / "bin"
TOOLS = TOP / "tests/tools"
LARGE = float(os.environ.get("CALLWATCH_LARGE", 0))  # seconds of churn; also 100,000 calls, a cut at every 1,000th byte
SANITIZED = BUILD.name in ("asan", "tsan")
SLOWER = 4 if SANITIZED else 1
PATIENCE = 2  # a deadline is what suffices on a quiet machine; so much longer, and it is a failure
SANITIZER_REPORT = re.compile(r"(AddressSanitizer|LeakSanitizer|ThreadSanitizer|runtime error:)")


class Deadline(AssertionError):
    pass


def wait_for(condition, deadline=10.0, every=0.05, what=None):
    """Waits until condition() is true and gives what it said; an exception of it counts as false until the deadline."""
    end = time.monotonic() + deadline * SLOWER * PATIENCE
    while True:
        error = None
        try:
            value = condition()
            if value:
                return value
        except Exception as e:  # noqa: BLE001: the daemon may not be there yet
            value, error = None, e
        if time.monotonic() > end:
            name = what or getattr(condition, "__name__", "condition")
            raise Deadline(f"{name} did not hold within {deadline} s; last: {error or value!r}")
        time.sleep(every)


def always(condition, seconds, every=0.1, what=None):
    """The opposite of wait_for(): condition() must hold all the time."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        assert condition(), what or getattr(condition, "__name__", "condition")
        time.sleep(every)


PORTS_FROM, PORTS_EACH, WORKERS = 10240, 900, 24
ports_tried = itertools.count(random.randrange(PORTS_EACH))


def free_port():
    """Of this worker's own, and below those that outgoing connections are given: so nobody takes it before it is listened on, or while it is not, and who
    dials it meanwhile does not meet himself."""
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw")) % WORKERS
    for _ in range(PORTS_EACH):
        port = PORTS_FROM + worker * PORTS_EACH + next(ports_tried) % PORTS_EACH
        with contextlib.suppress(OSError), socket.socket() as s:
            s.bind(("127.0.0.1", port))
            return port
    raise AssertionError("no port is free")


class Folder:
    """A short temporary folder: a UNIX socket's path may have 107 bytes only."""

    def __init__(self):
        self.path = Path(tempfile.mkdtemp(prefix="cw-", dir="/tmp"))

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)


class Process:
    """A child with its output in files; ended by pid."""

    def __init__(self, folder, name, argv, env=None, stdin=None, preexec=None):
        self.name = name
        self.out_path, self.err_path = folder / f"{name}.out", folder / f"{name}.err"
        with open(self.out_path, "ab") as out, open(self.err_path, "ab") as err:
            self.popen = subprocess.Popen(
                [str(a) for a in argv], stdout=out, stderr=err, stdin=stdin or subprocess.DEVNULL,
                env={**os.environ, **(env or {})}, preexec_fn=preexec)
        self.pid = self.popen.pid

    @property
    def running(self):
        return self.popen.poll() is None

    @property
    def stderr(self):
        return self.err_path.read_text(errors="replace")

    @property
    def stdout(self):
        return self.out_path.read_text(errors="replace")

    def send(self, number):
        if self.running:
            os.kill(self.pid, number)

    def freeze(self):
        self.send(signal.SIGSTOP)

    def thaw(self):
        self.send(signal.SIGCONT)

    def end(self, number=signal.SIGTERM, deadline=10):
        """Its exit code; killed if it does not end in time (then Deadline)."""
        self.thaw()
        self.send(number)
        try:
            return self.popen.wait(deadline * SLOWER)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
            raise Deadline(f"{self.name} did not end within {deadline} s of signal {number}\n{self.stderr[-3000:]}") from None

    def kill(self):
        self.thaw()
        with contextlib.suppress(ProcessLookupError):
            self.popen.kill()
        self.popen.wait()

    def fds(self):
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_kib(self):
        with open(f"/proc/{self.pid}/status") as f:
            return int(re.search(r"VmRSS:\s+(\d+)", f.read())[1])


class Disk:
    """A small file system in a mount namespace of its own; programs that are started through it see it at `path`."""

    def __init__(self, folder, path, size):
        path.mkdir(parents=True)
        self.path = path
        script = f"mount -t tmpfs -o size={size},mode=700 tmpfs {path} && echo mounted && exec sleep infinity"
        self.holder = Process(folder, "disk", ["unshare", "-rm", "sh", "-c", script])
        self.inside = ["nsenter", "-t", str(self.holder.pid), "-U", "-m", "--preserve-credentials"]
        wait_for(lambda: "mounted" in self.holder.stdout or not self.holder.running, what="the small disk")
        self.refused = None if self.holder.running else self.holder.stderr  # no mount in a namespace of our own here

    def run(self, *argv):
        return subprocess.run([*self.inside, *map(str, argv)], check=True, capture_output=True, text=True).stdout

    def remount(self, how):
        self.run("mount", "-o", f"remount,{how}", self.path)


class Redis:
    """A private redis-server on a UNIX socket and a TCP port. Keeps its data over restart() unless empty=True."""

    def __init__(self, folder, name="redis", config="", port=None):
        self.folder = folder / name
        self.folder.mkdir()
        self.name = name
        self.socket = self.folder / "sock"
        self.port = port or free_port()
        self.url = f"unix://{self.socket}"
        self.tcp_url = f"redis://127.0.0.1:{self.port}"
        self.config = config
        self.process = None
        self.password = None

    def start(self):
        argv = ["redis-server", "--port", self.port, "--bind", "127.0.0.1", "--unixsocket", self.socket, "--unixsocketperm", "777",
                "--save", "", "--appendonly", "no", "--dir", self.folder, "--daemonize", "no", "--enable-debug-command", "yes"]
        words = self.config.split("\n") if self.config else []
        for line in words:
            key, _, rest = line.strip().partition(" ")
            if key:
                argv += [f"--{key}", *rest.split(" ")]
        self.process = Process(self.folder, "server", argv)
        try:
            wait_for(self._answers, 10, what=f"redis {self.name} to answer")
        except Deadline as e:
            raise Deadline(f"{e}\n{self.process.stdout[-2000:]}{self.process.stderr[-500:]}") from None
        return self

    def _answers(self):
        try:
            return self.client.ping()
        except redis_module.exceptions.AuthenticationError:
            return True

    @property
    def client(self):
        return redis_module.Redis(unix_socket_path=str(self.socket), password=self.password, socket_timeout=30)

    @property
    def pid(self):
        return self.process.pid

    def stop(self):
        if self.process:
            self.process.kill()

    def restart(self, empty=True):
        if not empty:
            self.client.save()
        else:
            with contextlib.suppress(FileNotFoundError):
                (self.folder / "dump.rdb").unlink()
        self.stop()
        return self.start()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()


class Postgres:
    """A private PostgreSQL on a UNIX socket and a TCP port. It refuses to be root, so then it is `postgres`, in a folder of that user's; the
    system's own cluster is not touched. Keeps its data over restart()."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="cw-pg-", dir="/tmp"))
        self.log, self.data, self.sockets = self.folder / "log", self.folder / "data", self.folder / "s"
        self.port = free_port()
        self.url = self.socket_url("postgres", "callwatch")
        self.settings = {}
        self.process = None
        self.user = []
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self.user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
        self._run("mkdir", self.log, self.sockets)
        self._run(self.program("initdb"), "--pgdata", self.data, "--username", "callwatch", "--auth", "trust", "--encoding", "UTF8",
                  "--locale", "C.UTF-8", "--no-sync")

    @staticmethod
    def program(name):
        found = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda p: int(p.parts[-3]))
        assert found, "PostgreSQL's server is not installed (packaging/packages.txt, [tests])"
        return found[-1]

    def _run(self, *argv):
        done = subprocess.run([*self.user, *map(str, argv)], capture_output=True, text=True, cwd=self.folder)
        assert done.returncode == 0, f"{argv[0]}: {done.stdout}{done.stderr}"

    def socket_url(self, database, user):
        return f"postgresql:///{database}?host={self.sockets}&port={self.port}&user={user}"

    def start(self):
        settings = {"listen_addresses": "127.0.0.1", "port": self.port, "unix_socket_directories": self.sockets, "fsync": "off",
                    "timezone": "UTC", **self.settings}
        self.process = Process(self.log, "server", [*self.user, self.program("postgres"), "-D", self.data,
                                                    *(f"--{key}={value}" for key, value in settings.items())])
        try:
            wait_for(lambda: self.rows("SELECT 1 AS up"), 20, what="PostgreSQL to answer")
        except Deadline as e:
            raise Deadline(f"{e}\n{self.process.stderr[-2000:]}") from None
        return self

    def execute(self, sql, database=None):
        """What psql prints: values, separated by |."""
        url = self.socket_url(database, "callwatch") if database else self.url
        done = subprocess.run([self.program("psql"), "-XAtq", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql], capture_output=True, text=True,
                              timeout=60 * SLOWER)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def rows(self, select):
        """The rows of one SELECT as dictionaries."""
        return json.loads(self.execute(f"SELECT coalesce(json_agg(r), '[]') FROM ({select}) r"))

    @property
    def pid(self):
        return self.process.pid

    def stop(self, number=signal.SIGQUIT):
        """At once, without a checkpoint, with all its children; SIGINT is the clean way."""
        if self.process and self.process.running:
            self.process.end(number)

    def restart(self):
        self.stop(signal.SIGINT)
        return self.start()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


class Daemon:
    """callwatchd with a configuration given as text; asked through its control socket."""

    def __init__(self, folder, name="callwatchd"):
        self.folder, self.name = folder, name
        self.socket = folder / f"{name}.sock"
        self.config_path = folder / f"{name}.yaml"
        self.process = None

    def configure(self, text):
        self.config_path.write_text(text)
        os.chmod(self.config_path, 0o600)

    def start(self, text, wait=True, arguments=(), env=None, preexec=None, wrapper=()):
        """`wrapper`: a command that becomes callwatchd, the rest of its command line."""
        self.configure(text)
        argv = [*wrapper, BIN / "callwatchd", "-c", self.config_path, *arguments]
        self.process = Process(self.folder, self.name, argv, env=env, preexec=preexec)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, deadline=20):
        def ready():
            assert self.process.running, f"callwatchd ended with {self.process.popen.returncode}:\n{self.stderr[-4000:]}"
            return self.request("GET", "/-/ready")[0] == 200

        try:
            wait_for(ready, deadline, what="callwatchd to be ready")
        except Deadline as e:
            raise Deadline(f"{e}\n{self.stderr[-4000:]}") from None

    @property
    def stderr(self):
        return self.process.stderr

    @property
    def pid(self):
        return self.process.pid

    def request(self, method, path, timeout=10):
        connection = UnixConnection(self.socket, timeout * SLOWER)
        try:
            connection.request(method, path, headers={"Content-Type": "application/json"} if method == "POST" else {})
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def get(self, path):
        status, body = self.request("GET", path)
        assert status == 200, f"GET {path}: {status} {body[:500]!r}"
        return json.loads(body)

    def table(self, name, **query):
        """The whole answer: rows, total, as_of, complete, coverage, age_seconds. `where` may be a list."""
        query.setdefault("limit", 1000000)
        return self.get(f"/api/v1/tables/{name}?" + urllib.parse.urlencode(query, doseq=True))

    def rows(self, name="calls", **query):
        """All matching rows (streamed, so there is no limit) as dictionaries."""
        path = f"/api/v1/tables/{name}?" + urllib.parse.urlencode({**query, "format": "ndjson"}, doseq=True)
        status, body = self.request("GET", path, timeout=60)
        assert status == 200, f"GET {path}: {status} {body[:500]!r}"
        return [json.loads(line) for line in body.split(b"\n") if line]

    def total(self, name="calls", **query):
        return self.table(name, **{**query, "limit": 1})["total"]

    def instance(self, name="calls"):
        rows = [r for r in self.rows("instances") if r["instance"] == name]
        return rows[0] if rows else None

    def state(self, name="calls"):
        row = self.instance(name)
        return (row["state"], row["reason"]) if row else (None, None)

    def wait_state(self, state, reason="", deadline=15, name="calls"):
        """Waits for an instance's state, and a reason that contains `reason`."""
        states = (state,) if isinstance(state, str) else state

        def holds():
            now, why = self.state(name)
            return now in states and reason.lower() in (why or "").lower()

        try:
            return wait_for(holds, deadline, what=f"{name} to be {state} ({reason})")
        except Deadline as e:
            raise Deadline(f"{e}; it is {self.state(name)}\n{self.stderr[-3000:]}") from None

    def wait_healthy(self, deadline=15):
        """Until every instance is up: rows are there before the state that follows from them has been told."""
        wait_for(lambda: self.get("/api/v1/status")["state"] == "healthy", deadline, what="callwatchd to be healthy")

    def wait_malformed(self, least, most=None, name="calls"):
        """Counters of `instances` follow once a second."""
        return wait_for(lambda: least <= self.instance(name)["malformed"] <= (most or least), what=f"malformed to be {least}")

    def wait_total(self, n, deadline=15, table="calls", **query):
        return wait_for(lambda: self.total(table, **query) == n, deadline, what=f"{n} rows in {table} {query}") and n

    def hup(self):
        self.process.send(signal.SIGHUP)

    def stop(self, deadline=8):
        """A clean end: exit code 0 within 5 s (and a little), and no word of a sanitizer."""
        code = self.process.end(deadline=deadline)
        self.check_clean()
        assert code == 0, f"callwatchd ended with {code}\n{self.stderr[-4000:]}"

    def check_clean(self):
        found = SANITIZER_REPORT.search(self.stderr)
        assert not found, self.stderr[max(0, found.start() - 500):found.start() + 6000]


BOOKS = ("samples_", "output_queue_length", "spool_samples")


def book_runs(daemon):
    """The agent's own samples that the output stdout (format json) has written, by their time: {(instance, metric, reason): value}. The
    last run is left out, it may be incomplete; so is one that a kill has cut."""
    runs, cut = {}, set()
    for line in daemon.process.stdout.split("\n")[:-1]:
        try:
            sample = json.loads(line)
        except json.JSONDecodeError:
            cut |= {max(runs, default=None)}
            continue
        if sample["metric"].startswith(("samples_", "output_", "spool_")):
            key = sample["instance"], sample["metric"], sample["labels"].get("reason")
            runs.setdefault(sample["time"], {})[key] = sample["value"]
    return [run for time, run in runs.items() if time not in cut][:-1]


def check_books(runs, outputs):
    """In each run: what all sources produced, and what was found in the spool at the start, is what the output has sent, has waiting in
    memory or on disk, or has dropped. For outputs that are there from the start and take every sample. Gives the runs."""
    assert runs, "no books were published"
    for run in runs:
        produced = sum(v for (_, metric, _), v in run.items() if metric == "samples_produced_total")
        lost = sum(v for (_, _, reason), v in run.items() if reason == "hub_full")
        for output in outputs:
            book = {key[1:]: v for key, v in run.items() if key[0] == output and key[1].startswith(BOOKS)}
            restored = book.pop(("samples_restored_total", None), 0)
            book.pop(("samples_spooled_total", None), None)
            assert produced - lost + restored == sum(book.values()), (output, book)
    return runs


class Sim:
    """callsim, with commands on its stdin."""

    def __init__(self, folder, url, *arguments, name="callsim"):
        self.out_path = folder / f"{name}.out"
        argv = [str(a) for a in (BIN / "callsim", "--redis", url, "--quiet", *arguments)]
        self.load_only = "--load-only" in arguments
        self.out = open(self.out_path, "wb")
        self.popen = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=self.out, stderr=subprocess.STDOUT)
        self.seen = 0
        if self.load_only:
            assert self.popen.wait(120 * SLOWER) == 0, self.out_path.read_text()
        else:
            self.answer("loaded")

    def answer(self, beginning, deadline=30):
        def line():
            lines = self.out_path.read_text().split("\n")[:-1]
            for i in range(self.seen, len(lines)):
                if lines[i].startswith(beginning):
                    self.seen = i + 1
                    return lines[i]
            assert self.popen.poll() is None, "callsim ended"
            return None

        return wait_for(line, deadline, every=0.02, what=f"callsim to say {beginning!r}")

    def say(self, command):
        """Sends a command, waits for its answer, gives the number in it."""
        self.popen.stdin.write((command + "\n").encode())
        self.popen.stdin.flush()
        return int(self.answer("ok " + command.split()[0]).split()[2])

    def status(self):
        self.popen.stdin.write(b"status\n")
        self.popen.stdin.flush()
        return json.loads(self.answer("{"))

    def stop(self):
        if self.popen.poll() is None:
            self.popen.terminate()
            try:
                self.popen.wait(5)
            except subprocess.TimeoutExpired:
                self.popen.kill()
                self.popen.wait()
        self.popen.stdin.close()
        self.out.close()


class Tool:
    """A Python tool of tests/tools that prints its address as its first line, and takes commands on stdin (one line, one answer)."""

    def __init__(self, folder, script, *arguments, name=None):
        self.name = name or Path(script).stem
        self.err = open(folder / f"{self.name}.err", "wb")
        self.popen = subprocess.Popen([sys.executable, str(TOOLS / script), *map(str, arguments)], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, stderr=self.err)
        self.url = self.popen.stdout.readline().decode().strip()
        assert self.url, f"{script} did not start: {(folder / (self.name + '.err')).read_text()}"

    def say(self, command):
        self.popen.stdin.write((command + "\n").encode())
        self.popen.stdin.flush()
        return self.popen.stdout.readline().decode().strip()

    def stats(self):
        return json.loads(self.say("stats"))

    def stop(self):
        self.popen.kill()
        self.popen.wait()
        for stream in (self.popen.stdin, self.popen.stdout, self.err):
            with contextlib.suppress(OSError):
                stream.close()


def config(daemon, url, calls="", agent="", more="", interval="1s"):
    """The usual configuration: redis-calls as `calls` on url, the web plugin on the daemon's socket. `calls`, `agent`: lines of YAML."""

    def indent(text, by):
        return "".join(" " * by + line + "\n" for line in text.strip("\n").split("\n")) if text else ""

    return (f"agent:\n  hostname: testhost\n  interval: {interval}\n  state_dir: {daemon.folder}/state\n  plugin_dir: [{BUILD}/plugins]\n"
            + indent(agent, 2) + "plugins:\n  - plugin: redis-calls\n    name: calls\n" + f"    url: \"{url}\"\n" + indent(calls, 4)
            + f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n" + indent(more, 2))


def samples(daemon):
    """What an instance `stdout` with `format: json` says of all samples so far, each with its time in seconds."""
    found = []
    for line in daemon.process.stdout.split("\n")[:-1]:
        found.append(json.loads(line))
        found[-1]["seconds"] = datetime.datetime.fromisoformat(found[-1]["time"].replace("Z", "+00:00")).timestamp()
    return found


def counter(daemon, metric, instance, **labels):
    """The last that stdout said of a counter of the agent's own about an instance; 0 before it said anything."""
    found = [s["value"] for s in samples(daemon) if (s["instance"], s["metric"], s["labels"]) == (instance, metric, labels)]
    return found[-1] if found else 0


def run_client(daemon, *arguments, timeout=20, env=None):
    """The callwatch command: its CompletedProcess, text."""
    done = subprocess.run([str(BIN / "callwatch"), "--socket", str(daemon.socket), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout * SLOWER, env={**os.environ, **(env or {})}, errors="replace")
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done


class Terminal:
    """The client on a terminal of its own."""

    def __init__(self, daemon, *arguments, columns=120, lines=30):
        master, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process = subprocess.Popen([BIN / "callwatch", "--socket", daemon.socket, *arguments], stdin=slave, stdout=slave, stderr=slave,
                                        env={**os.environ, "TERM": "xterm-256color"}, start_new_session=True)
        os.close(slave)
        self.master, self.text = master, ""
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        while True:
            try:
                part = os.read(self.master, 65536)
            except OSError:
                return
            if not part:
                return
            self.text += part.decode(errors="replace")

    @property
    def picture(self):
        """What was drawn last, without escapes."""
        whole = self.text.rsplit("\x1b[?2026l", 1)[0].rsplit("\x1b[?2026h", 1)[-1]
        return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", whole)

    def end(self):
        self.process.send_signal(signal.SIGINT)
        code = self.process.wait(20 * SLOWER)
        self.reader.join(10)
        os.close(self.master)
        return code


def run_once(folder, text, *arguments, timeout=30, env=None):
    """callwatchd --once (or -t): its CompletedProcess, text."""
    path = folder / "once.yaml"
    path.write_text(text)
    os.chmod(path, 0o600)
    done = subprocess.run([str(BIN / "callwatchd"), "-c", str(path), *map(str, arguments)], capture_output=True, text=True,
                          timeout=timeout * SLOWER, env={**os.environ, **(env or {})}, errors="replace")
    assert not SANITIZER_REPORT.search(done.stderr), done.stderr
    return done
