# SPDX-License-Identifier: MIT
"""Output collectd against a real collectd: what arrives, by the socket and by the network at each security level, and what is said and kept
when collectd is not there, frozen, killed, or refuses.
"""

import json
import re
import time

import pytest
from collectd import PASSWORD, TYPES_DB, USER, Collectd, missing, single_types

from harness import BUILD, LARGE, SLOWER, TOP, book_runs, check_books, counter, run_client, run_once, samples, wait_for

HOSTILE = ["a/b", "../../etc/passwd", 'q"uote', "back\\slash", "a\nPUTVAL \"x/y/gauge-z\" N:1\n", "a b", "100%", "%2F", "-", "--", "a;b=c", "\u202egpj",
           "\u200b", "日本語", "🎉", "é" * 150, "x" * 250 + "1", "x" * 250 + "2", "/" * 80, "'", "tab\t", ""]
FLOOD = 50  # series in most tests here


@pytest.fixture
def make_collectd(folder):
    made = []

    def make(name="collectd", **options):
        made.append(Collectd(folder, name, **options))
        return made[-1]

    yield make
    for collectd in made:
        if collectd.process:
            collectd.kill()


@pytest.fixture
def collectd(make_collectd):
    return make_collectd()


def yaml(value):
    return json.dumps(value, ensure_ascii=False)


def config(daemon, plugins, hostname="testhost", interval="200ms"):
    return (f"agent:\n  hostname: {yaml(hostname)}\n  interval: {interval}\n  state_dir: {daemon.folder}/{daemon.name}.d\n"
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n"
            + "".join(f"  - {yaml(plugin)}\n" for plugin in plugins))


def by_socket(collectd, **more):
    return {"plugin": "collectd", "socket": str(collectd.socket), **more}


def by_network(port, address="127.0.0.1", security="none", **more):
    user = {} if security == "none" else {"username": USER, "password": more.pop("password", PASSWORD)}
    return {"plugin": "collectd", "network": {"address": f"{address}:{port}", "security": security, **user}, **more}


def readings_of_all(collectd, host="testhost"):
    """Which readings of flood have arrived of each series, {series: set}: flood_value is reading × 1000000 + series."""
    found = {}
    for (_, _, name), points in collectd.values(host, "flood").items():
        series = re.fullmatch(r"flood_value-s(\d+)", name)
        if series:
            found[int(series[1])] = {(int(float(value)) - int(series[1])) // 1000000 for value in points.values()}
    return found


def readings(collectd, series=0):
    return readings_of_all(collectd).get(series, set())


def assert_without_gap(collectd, first=None, last=None):
    """Of every series each reading from the first to the last has arrived."""
    found = readings_of_all(collectd)
    assert len(found) == FLOOD
    for series, numbers in found.items():
        begin, end = first or min(numbers), last or max(numbers)
        assert numbers >= set(range(begin, end + 1)), f"series {series}: {sorted(set(range(begin, end + 1)) - numbers)} are not there"


# ---- what arrives ----


LEVELS = {"none": "::1", "sign": "127.0.0.1", "encrypt": "127.0.0.1"}


@pytest.mark.sanitize
@pytest.mark.parametrize("way", ["socket", *LEVELS])
def test_every_declared_metric_arrives_with_its_numbers(make_collectd, daemon, way):
    """Each metric that any plugin declares, and the agent's own; csv says what stdout says."""
    listen = [(LEVELS[way], way)] if way in LEVELS else []
    collectd = make_collectd(listen=listen).start()
    address = f"[{LEVELS[way]}]" if way == "none" else LEVELS.get(way)
    output = by_network(collectd.ports[0], address, way) if listen else by_socket(collectd)
    sources = [{"plugin": "mimic", "name": path.stem, "of": str(path)} for path in sorted((BUILD / "plugins").glob("*.so"))]
    output["name"] = "the-output"
    sources = [source for source in sources if source["name"] not in ("web", "stdout")]
    daemon.start(config(daemon, [*sources, output, {"plugin": "stdout", "format": "json"}]))
    wait_for(lambda: counter(daemon, "samples_sent_total", "the-output") > 300, 20, what="samples to be sent")
    wait_for(lambda: daemon.instance("redis-calls")["reads"] > 5, what="more than the last half second, which is not looked at")
    daemon.stop()
    said = samples(daemon)
    assert {s["instance"] for s in said} >= {"redis-calls", "agent", "the-output"}
    assert {s["kind"] for s in said} == {"gauge", "counter", "histogram"}
    sent = [s for s in said if s["seconds"] < said[-1]["seconds"] - 0.5]
    assert sent
    types = single_types()

    def all_there():
        values = collectd.values("testhost")
        wrong = [sentence for sample in sent for sentence in missing(sample, values, types)]
        assert not wrong, wrong[:10]
        return True

    wait_for(all_there, 10, every=0.5, what="every sample to be in csv")
    assert "refus" not in daemon.stderr


@pytest.mark.parametrize("way", ["socket", "network"])
def test_fault_43_hostile_names_are_one_value_each_in_collectd(make_collectd, daemon, way):
    collectd = make_collectd(listen=[("127.0.0.1", "none")] if way == "network" else []).start()
    output = by_network(collectd.ports[0]) if way == "network" else by_socket(collectd)
    source = {"plugin": "flood", "names": HOSTILE, "series": len(HOSTILE), "counters": True, "host": 'we/ird "host" -1'}
    daemon.start(config(daemon, [source, output, {"plugin": "stdout", "format": "json", "metrics": ["instance=flood"]}]))
    host = "we%2Fird %22host%22 -1"
    wait_for(lambda: len(collectd.values(host)) >= 2 * len(HOSTILE), 20, what="all series")
    daemon.stop()
    said = samples(daemon)
    sent = said[:2 * len(HOSTILE)]
    values = collectd.values(host)
    assert len(values) == 2 * len(HOSTILE)
    assert not [sentence for sample in sent for sentence in missing(sample, values, single_types())]
    assert {path.name for path in collectd.csv.iterdir()} <= {host, "testhost", "here"}


def test_a_wrong_password_is_not_heard_and_a_right_one_is(make_collectd, make_daemon):
    """Collectd says nothing, so neither do we: the README tells so."""
    collectd = make_collectd(listen=[("127.0.0.1", "sign")]).start()
    daemons = []
    for name, password in (("right", PASSWORD), ("wrong", "guessed")):
        output = by_network(collectd.ports[0], security="encrypt", password=password)
        daemons.append(make_daemon(name))
        daemons[-1].start(config(daemons[-1], [{"plugin": "flood"}, output, {"plugin": "stdout", "format": "json"}], hostname=name))
    wait_for(lambda: collectd.values("right"), 15, what="values")
    wait_for(lambda: counter(daemons[1], "samples_sent_total", "collectd") > 0, 15, what="samples to be sent")
    wait_for(lambda: len(collectd.values("right", "flood")) > 100, 15, what="all values")
    assert not collectd.values("wrong")
    assert daemons[1].state("collectd")[0] == "up"
    assert "guessed" not in daemons[1].stderr + daemons[1].process.stdout


def test_types_are_those_of_collectd():
    text = (TOP / "plugins/format/collectd_types.c").read_text()
    ours = {}
    for name, kind in (("gauges", "GAUGE"), ("derives", "DERIVE"), ("counters", "COUNTER"), ("absolutes", "ABSOLUTE")):
        names = re.findall(r'"(\w+)"', re.search(rf"\b{name}\[\] = {{(.*?)}};", text, re.S)[1])
        assert names == sorted(names)
        ours |= {name: kind for name in names}
    assert ours == single_types(TYPES_DB)


# ---- when collectd is not well ----


def test_fault_40_collectd_absent_frozen_killed_planted_loses_nothing(collectd, daemon):
    """The other output, stdout, goes on all the time; in csv no reading is missing at the end."""
    source = {"plugin": "flood", "series": FLOOD}
    daemon.start(config(daemon, [source, by_socket(collectd), {"plugin": "stdout", "format": "json"}]))

    def others_go_on():
        before = len(samples(daemon))
        wait_for(lambda: len(samples(daemon)) > before + FLOOD, 5, what="the other output to go on")

    daemon.wait_state("down", "is collectd running, with LoadPlugin unixsock?", name="collectd")
    others_go_on()
    collectd.start()
    daemon.wait_state("up", name="collectd", deadline=20)
    wait_for(lambda: 1 in readings(collectd), 10, what="the first reading, from before it was there")

    collectd.freeze()
    daemon.wait_state("down", "does not answer", name="collectd", deadline=20)
    others_go_on()
    last = max(int(s["value"]) // 1000000 for s in samples(daemon) if s["metric"] == "flood_value")
    collectd.thaw()
    daemon.wait_state("up", name="collectd", deadline=30)
    wait_for(lambda: last in readings(collectd), 20, what="what was read meanwhile")
    assert_without_gap(collectd, first=1, last=last)

    collectd.stop()
    daemon.wait_state("down", name="collectd")
    collectd.socket.unlink(missing_ok=True)
    collectd.socket.write_text("planted")
    daemon.wait_state("down", "is not a socket", name="collectd", deadline=30)
    others_go_on()
    assert collectd.socket.read_text() == "planted"
    collectd.start()
    daemon.wait_state("up", name="collectd", deadline=30)

    collectd.kill()
    daemon.wait_state("down", name="collectd")
    last = max(int(s["value"]) // 1000000 for s in samples(daemon) if s["metric"] == "flood_value")
    collectd.start()
    daemon.wait_state("up", name="collectd", deadline=30)
    wait_for(lambda: last + 3 in readings(collectd), 20, what="readings after the kill")
    daemon.stop()
    check_books(book_runs(daemon), ["collectd"])


@pytest.mark.parametrize("how", ["frozen", "absent", "planted"])
def test_fault_40_stop_is_short_whatever_collectd_does(collectd, daemon, how):
    if how == "frozen":
        collectd.start()
    if how == "planted":
        collectd.socket.write_text("planted")
    daemon.start(config(daemon, [{"plugin": "flood", "series": 20000}, by_socket(collectd)]))
    daemon.wait_state("up" if how == "frozen" else "down", name="collectd")
    if how == "frozen":
        collectd.freeze()
        before = daemon.instance("collectd")["queue"]
        wait_for(lambda: daemon.instance("collectd")["queue"] > before, 10, what="samples to wait")
    daemon.stop(deadline=6)


def test_fault_40_network_says_who_is_not_there_and_comes_back(make_collectd, daemon):
    collectd = make_collectd(listen=[("127.0.0.1", "none")])
    output = by_network(collectd.ports[0], address="localhost")
    daemon.start(config(daemon, [{"plugin": "flood", "series": FLOOD}, output, {"plugin": "stdout", "format": "json"}]))
    daemon.wait_state("down", "connection refused: nobody listens at localhost:", name="collectd")
    collectd.start()
    daemon.wait_state("up", name="collectd", deadline=40)
    wait_for(lambda: 1 in readings(collectd), 15, what="the first reading, from before it was there")
    collectd.stop()
    daemon.wait_state("down", "connection refused", name="collectd", deadline=15)
    before = len(samples(daemon))
    wait_for(lambda: len(samples(daemon)) > before + FLOOD, 5, what="the other output to go on")
    daemon.stop()
    check_books(book_runs(daemon), ["collectd"])


def test_fault_42_collectd_gets_whole_lines_wherever_the_connection_is_cut(collectd, daemon, make_tool):
    collectd.start()
    proxy = make_tool("proxy.py", "--to", f"unix:{collectd.socket}", "--listen", f"unix:{collectd.folder}/proxy")
    output = {"plugin": "collectd", "socket": f"{collectd.folder}/proxy"}
    daemon.start(config(daemon, [{"plugin": "flood", "series": FLOOD}, output]))
    daemon.wait_state("up", name="collectd")
    for cut in ("cut-up 300", "cut-down 70"):
        assert proxy.say(cut) == "ok"
        cuts = proxy.stats()["cuts"]
        proxy.say("close")
        wait_for(lambda: proxy.stats()["cuts"] > cuts, 20, what=f"{cut} to happen")
    daemon.wait_state("up", name="collectd", deadline=30)
    seen = max(readings(collectd))
    wait_for(lambda: max(readings(collectd)) > seen + 2, 15, what="readings after the cuts")
    daemon.stop()
    assert_without_gap(collectd, first=1)
    assert "Parsing" not in collectd.log.read_text() and "not collectd" not in daemon.stderr


def test_what_collectd_refuses_is_counted_and_said_and_the_rest_arrives(make_collectd, daemon, folder):
    types = folder / "types.db"
    types.write_text("gauge value:GAUGE:U:U\nderive value:DERIVE:0:U\n")
    collectd = make_collectd(types_db=types).start()
    daemon.start(config(daemon, [{"plugin": "flood", "series": FLOOD}, by_socket(collectd), {"plugin": "stdout", "format": "json"}]))
    daemon.wait_state("degraded", "collectd refuses samples, first", name="collectd")
    assert "isn't defined" in daemon.state("collectd")[1]
    wait_for(lambda: counter(daemon, "samples_dropped_total", "collectd", reason="refused") > 0, 10, what="refusals to be counted")
    wait_for(lambda: len(readings(collectd)) > 3, 10, what="the others")
    daemon.stop()
    refused = counter(daemon, "samples_dropped_total", "collectd", reason="refused")
    assert refused < counter(daemon, "samples_sent_total", "collectd")
    assert_without_gap(collectd, first=1, last=3)
    check_books(book_runs(daemon), ["collectd"])


def test_fault_40_a_slow_collectd_is_waited_for(collectd, daemon, make_tool):
    """Its answers trickle: it is up all the time, what does not go waits, and in the end all of it has arrived."""
    collectd.start()
    proxy = make_tool("proxy.py", "--to", f"unix:{collectd.socket}", "--listen", f"unix:{collectd.folder}/proxy")
    output = {"plugin": "collectd", "socket": f"{collectd.folder}/proxy"}
    daemon.start(config(daemon, [{"plugin": "flood", "series": FLOOD}, output]))
    daemon.wait_state("up", name="collectd")
    proxy.say("throttle 3000")
    waits = daemon.instance("collectd")["queue"] + 10 * FLOOD
    wait_for(lambda: daemon.instance("collectd")["queue"] > waits, 20, what="samples to wait")
    row = daemon.instance("collectd")
    assert row["state"] == "up" and row["errors"] == 0
    reads = daemon.instance("flood")["reads"]
    proxy.say("throttle 0")
    wait_for(lambda: len(readings(collectd)) > reads, 20, what="all that has waited")
    daemon.stop()
    assert_without_gap(collectd, first=1)
    assert "down" not in daemon.stderr


def test_fault_40_an_agent_that_was_stopped_in_mid_batch_does_not_blame_collectd(collectd, daemon, make_tool):
    """Longer than a reply may take: the replies that came meanwhile are there when it wakes, and it looks before it judges."""
    frozen = 6
    collectd.start()
    proxy = make_tool("proxy.py", "--to", f"unix:{collectd.socket}", "--listen", f"unix:{collectd.folder}/proxy")
    daemon.start(config(daemon, [{"plugin": "flood", "series": FLOOD}, {"plugin": "collectd", "socket": f"{collectd.folder}/proxy"}]))
    daemon.wait_state("up", name="collectd")
    proxy.say("throttle 3000")
    waits = daemon.instance("collectd")["queue"] + 4 * FLOOD  # so a batch is on its way at any moment
    wait_for(lambda: daemon.instance("collectd")["queue"] > waits, 20, what="samples to wait")
    daemon.process.freeze()
    began = time.monotonic()
    proxy.say("throttle 0")
    wait_for(lambda: time.monotonic() > began + frozen, frozen + 10)
    daemon.process.thaw()
    reads = daemon.instance("flood")["reads"]
    wait_for(lambda: len(readings(collectd)) > reads, 20, what="all that has waited")
    row = daemon.instance("collectd")
    assert row["state"] == "up" and row["errors"] == 0, row
    daemon.stop()
    assert_without_gap(collectd, first=1)
    assert "down" not in daemon.stderr


class Numbers:
    """A daemon with source `counter` (see tests/plugins), whose numbers go through a spool into a collectd."""

    def __init__(self, daemon, collectd):
        self.daemon, self.collectd, self.path = daemon, collectd, daemon.folder / "number"

    def start(self):
        plugins = [{"plugin": "counter", "path": str(self.path), "batch": 10, "interval": "10ms"}, by_socket(self.collectd, spool="64MiB"),
                   {"plugin": "stdout", "format": "json", "metrics": ["metric=~^(samples|output|spool)_"]}]
        self.daemon.start(config(self.daemon, plugins, interval="500ms"))

    @property
    def produced(self):
        return int(self.path.read_text())

    def arrived(self):
        return {int(float(value)) for (_, _, name), points in self.collectd.values("testhost", "counter").items()
                if name.startswith("counter_number-") for value in points.values()}

    def hold(self):
        """No more numbers, once a reading that was under way is over."""
        self.path.with_suffix(".hold").touch()
        reads = self.daemon.instance("counter")["reads"]
        wait_for(lambda: self.daemon.instance("counter")["reads"] > reads + 1)

    def go_on(self):
        self.path.with_suffix(".hold").unlink()

    def wait_spooled(self):
        wait_for(lambda: (row := self.daemon.instance("collectd"))["spooled_bytes"] and row["queue"] == 0, what="all that waits to be on disk")


@pytest.mark.large
def test_fault_40_collectd_away_and_frozen_at_a_thousand_a_second_with_two_kills(collectd, daemon):
    """CALLWATCH_LARGE seconds; a few for every change. What a kill may cost is what had not reached the disk: less than a second."""
    seconds = LARGE or 6
    numbers = Numbers(daemon, collectd)
    collectd.start()
    numbers.start()
    wait_for(lambda: len(numbers.arrived()) > 500, what="the first numbers")
    numbers.hold()  # what a collectd takes while it is being stopped, it may lose
    wait_for(lambda: numbers.produced - 1 in numbers.arrived())
    collectd.stop()
    numbers.go_on()
    numbers.wait_spooled()
    rss, killed_at = daemon.process.rss_kib(), []
    for part in range(3):
        if part == 1:
            collectd.start()
            collectd.freeze()
        end = time.monotonic() + seconds / 3
        while time.monotonic() < end:
            time.sleep(min(1, seconds / 6))
            assert daemon.instance("collectd")["dropped"] == 0, run_client(daemon, "doctor", "collectd").stdout + daemon.stderr[-2000:]
            assert daemon.process.rss_kib() < rss + 16 * 1024 * SLOWER, "memory grows"
        if part < 2:
            numbers.wait_spooled()
            killed_at.append(numbers.produced)
            daemon.process.kill()
            numbers.start()
    collectd.thaw()
    daemon.wait_state("up", name="collectd", deadline=30)
    wait_for(lambda: daemon.instance("collectd")["spooled_bytes"] == 0, 20 + seconds, what="the spool to be sent")
    numbers.hold()
    wait_for(lambda: numbers.produced - 1 in numbers.arrived(), 20 + seconds, every=0.5, what="the last number")
    wait_for(lambda: len(book_runs(daemon)) > 2)
    daemon.stop()
    lost = set(range(numbers.produced)) - numbers.arrived()
    for n in lost:
        assert any(0 <= killed + 200 - n <= 1200 for killed in killed_at), (n, killed_at)
    check_books(book_runs(daemon), ["collectd"])
    print(f"{numbers.produced} produced, {len(lost)} lost by two kills")


# ---- what people see ----


def test_doctor_climbs_to_the_broken_rung(collectd, daemon):
    daemon.start(config(daemon, [{"plugin": "flood"}, by_socket(collectd)]))
    daemon.wait_state("down", name="collectd")
    done = run_client(daemon, "doctor", "collectd")
    assert done.returncode == 1
    assert "collectd is broken at `found`: no socket" in done.stdout
    collectd.start()
    daemon.wait_state("up", name="collectd", deadline=20)
    done = run_client(daemon, "doctor", "collectd")
    assert done.returncode == 0, done.stdout
    assert re.search(r"ok +answers +it answers; \d+ values taken", done.stdout)


@pytest.mark.parametrize("options, line, said", [
    ("", 4, "neither `socket` nor `network` is given"),
    ("    socket: /s\n    network: { address: h }\n", 6, "`socket` and `network` are two ways"),
    ("    network:\n      security: sign\n", 6, "`address` is required"),
    ("    network:\n      address: h\n      security: encrypt\n      username: u\n", 7, "`encrypt` needs a username and a password"),
    ("    network:\n      address: \"h:70000\"\n", 6, "the port must be a number"),
    ("    socket: relative\n", 5, "named by an absolute path"),
])
def test_mistakes_are_told_with_their_place(folder, options, line, said):
    text = f"agent:\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: collectd\n{options}"
    done = run_once(folder, text, "-t")
    assert done.returncode == 78
    assert re.search(rf"once\.yaml:{line}:\d+: .*{re.escape(said)}", done.stderr + done.stdout), done.stderr


def test_a_password_may_be_in_a_file_and_is_in_no_log(make_collectd, daemon, folder):
    secret = folder / "password"
    secret.write_text(PASSWORD + "\n")
    secret.chmod(0o600)
    collectd = make_collectd(listen=[("127.0.0.1", "encrypt")]).start()
    output = by_network(collectd.ports[0], security="encrypt")
    del output["network"]["password"]
    output["network"]["password_file"] = str(secret)
    daemon.start(config(daemon, [{"plugin": "flood"}, output]), arguments=["-v"])
    wait_for(lambda: collectd.values("testhost"), 15, what="values")
    shown = run_client(daemon, "config", "show").stdout
    assert PASSWORD not in daemon.stderr + shown
