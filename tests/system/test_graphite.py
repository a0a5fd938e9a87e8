# SPDX-License-Identifier: MIT
"""Output graphite against a real carbon-cache, directly and through carbon-c-relay, and against receivers that are dead, hang, are slow, or cut
the connection at any byte.
"""

import json
import math
import time

import pytest
import whisper
from collectd import quantile
from graphite import LINE, Carbon, Receiver, Relay, missing, path_of, tagged_name_of, values_of

from harness import BUILD, LARGE, SLOWER, counter, free_port, run_client, run_once, samples, wait_for

HOSTILE = ["a.b", "a b", "a\nb 1 2\ncallwatch.evil 3 1700000000\n", "x;tag=1", "../../etc/passwd", "*", "{a,b}", "q\"uote", "\u202egpj", "wide\u3000blank",
           "nbsp\u00a0x", "line\u2028x", "next\u0085x", "日本語", "🎉", "é" * 120, "x" * 250 + "1", "x" * 250 + "2", "~tilde", "tab\t", "", "plain"]


@pytest.fixture
def make_carbon(folder):
    made = []

    def make(name="carbon", **options):
        made.append(Carbon(folder, name, **options))
        return made[-1]

    yield make
    for carbon in made:
        carbon.kill()


@pytest.fixture
def carbon(make_carbon):
    return make_carbon()


@pytest.fixture
def relay(carbon, folder):
    """In front of the carbon, which it starts."""
    made = Relay(folder, carbon.start().port)
    yield made
    made.kill()


@pytest.fixture
def make_receiver():
    made = []

    def make(*arguments, **options):
        made.append(Receiver(*arguments, **options))
        return made[-1]

    yield make
    for receiver in made:
        receiver.close()


def yaml(value):
    return json.dumps(value, ensure_ascii=False)


def config(daemon, plugins, interval="200ms", labels=""):
    return (f"agent:\n  hostname: host.example.net\n  interval: {interval}\n  state_dir: {daemon.folder}/{daemon.name}.d\n{labels}"
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n"
            + "".join(f"  - {yaml(plugin)}\n" for plugin in plugins))


def graphite(port, name="graphite", **more):
    return {"plugin": "graphite", "name": name, "address": f"127.0.0.1:{port}", **more}


def mimics():
    """A source of each metric that a plugin of the build declares."""
    names = [path for path in sorted((BUILD / "plugins").glob("*.so")) if path.stem not in ("web", "stdout", "collectd", "graphite")]
    return [{"plugin": "mimic", "name": path.stem, "of": str(path)} for path in names]


def settled(daemon):
    """All samples but those that may still have been on their way when the daemon ended."""
    said = samples(daemon)
    return [s for s in said if s["seconds"] < int(said[-1]["seconds"]) - 1]


# ---- what arrives ----


@pytest.mark.sanitize
def test_every_declared_metric_arrives_in_carbon_with_its_numbers(carbon, relay, daemon):
    """Each metric that any plugin declares, and the agent's own: over TCP, UDP, through a relay, and tagged. Whisper says what stdout says."""
    outputs = [graphite(carbon.port, "tcp", prefix="tcp"), graphite(carbon.port, "udp", prefix="udp", protocol="udp"),
               graphite(relay.port, "relayed", prefix="relayed.a-b"), graphite(carbon.port, "tagged", prefix="tagged", tags=True)]
    daemon.start(config(daemon, [*mimics(), *outputs, {"plugin": "stdout", "format": "json"}], interval="500ms", labels="  labels: { env: test }\n"))
    wait_for(lambda: all(counter(daemon, "samples_sent_total", output["name"]) > 600 for output in outputs), 30, what="samples to be sent")
    wait_for(lambda: daemon.instance("redis-calls")["reads"] > 6, what="more than the last two seconds, which are not looked at")
    daemon.stop()
    said = settled(daemon)
    assert {s["instance"] for s in said} >= {"redis-calls", "agent", "tagged"}
    assert {s["kind"] for s in said} == {"gauge", "counter", "histogram"}

    def all_there():
        for prefix in ("tcp", "udp", "relayed.a-b"):
            wrong = missing(carbon, said, lambda sample, suffix, prefix=prefix: path_of(sample, suffix, prefix), in_order=prefix != "relayed.a-b")
            assert not wrong, wrong[:10]
        wrong = missing(carbon, said, lambda sample, suffix: tagged_name_of(sample, suffix, "tagged"))
        assert not wrong, wrong[:10]
        return True

    wait_for(all_there, 10, every=0.5, what="every sample to be in whisper files")
    assert "invalid line" not in carbon.said
    assert all(counter(daemon, "samples_dropped_total", output["name"], reason=reason) == 0
               for output in outputs for reason in ("collision", "invalid", "queue_full"))


def test_carbon_keeps_and_rolls_up_as_the_snippets_say(make_carbon, daemon):
    """Retentions by who gives the sample, aggregations by what it is: of every declared metric, as a path and tagged."""
    carbon = make_carbon(snippets=True).start()
    daemon.start(config(daemon, [*mimics(), graphite(carbon.port), graphite(carbon.port, "tagged", tags=True), {"plugin": "stdout", "format": "json"}],
                        interval="500ms"))
    wait_for(lambda: counter(daemon, "samples_sent_total", "tagged") > 300 and len(settled(daemon)) > 100, 30)
    daemon.stop()
    checked = set()
    for sample in settled(daemon):
        own = sample["instance"] == "agent" or sample["metric"].startswith(("instance_", "samples_", "output_", "spool_", "loop_lag"))
        for suffix, is_counter, _ in values_of(sample):
            for name in (path_of(sample, suffix), tagged_name_of(sample, suffix)):
                if name in checked:
                    continue
                checked.add(name)
                info = wait_for(lambda name=name: whisper.info(str(carbon.file(name))), what=name)
                assert info["archives"][0]["secondsPerPoint"] == (10 if own else 5), name
                assert [a["secondsPerPoint"] for a in info["archives"][1:]] == [60, 3600]
                assert info["xFilesFactor"] == 0
                assert (info["aggregationMethod"] == "last") == is_counter, (name, info["aggregationMethod"])
                if sample["metric"] in ("instance_up", "channel_up"):
                    assert info["aggregationMethod"] == "min"
                if "_max_" in sample["metric"] or suffix == "_p99":
                    assert info["aggregationMethod"] == "max"
                if sample["metric"].endswith("_ratio"):
                    assert info["aggregationMethod"] == "average"
    assert len(checked) > 60


def grown(before, after):
    """What `counters: rate` should make of two samples of a series that follow each other: {suffix: value}."""
    seconds = after["seconds"] - before["seconds"]
    if after["kind"] == "counter":
        return {"": (after["value"] - before["value"]) / seconds} if after["value"] >= before["value"] else {}
    buckets = [a - b for a, b in zip(after["buckets"], before["buckets"])]
    found = {"_count": (after["count"] - before["count"]) / seconds, "_sum": (after["sum"] - before["sum"]) / seconds}
    if sum(buckets):
        found |= {f"_p{p}": quantile(after["bounds"], buckets, p / 100) for p in (50, 95, 99)}
    return found


def test_counters_as_rates_are_what_came_between_two_samples(carbon, daemon):
    carbon.start()
    daemon.start(config(daemon, [{"plugin": "flood", "series": 3, "counters": True}, *mimics(), graphite(carbon.port, counters="rate"),
                                 {"plugin": "stdout", "format": "json"}], interval="1s"))
    wait_for(lambda: counter(daemon, "samples_sent_total", "graphite") > 400 and daemon.instance("flood")["reads"] > 7, 30)
    daemon.stop()
    series = {}
    for sample in settled(daemon):
        if sample["kind"] != "gauge":
            series.setdefault(path_of(sample, "{}"), []).append(sample)
    rates = 0
    for pattern, of_series in series.items():
        for before, after in zip(of_series, of_series[1:]):
            for suffix, value in grown(before, after).items():
                points = carbon.points(pattern.replace("{}", suffix))
                got = points.get(int(after["seconds"]))
                # json has milliseconds only; two samples may fall into one second, of which the last stays
                if not any(int(other["seconds"]) == int(after["seconds"]) for other in of_series if other is not after):
                    assert got is not None and math.isclose(got, value, rel_tol=0.01, abs_tol=0.001), (pattern, suffix, got, value)
                    rates += 1
    assert rates > 50
    assert "flood_total" in str(series.keys())


# ---- 43: names that strangers chose ----


def test_fault_43_hostile_names_are_one_line_each_in_carbon(carbon, relay, redis, daemon):
    """Labels from a source, and business ids from Redis: through a relay, one series for each name, none that nobody named, and the books balance."""
    for i, name in enumerate(HOSTILE):
        redis.client.hset(f"call_ctx:CA{i}", mapping={"business_id": name or "none", "start_time": "2026-11-22T13:30:45Z"})
    sources = [{"plugin": "flood", "names": HOSTILE, "series": len(HOSTILE)},
               {"plugin": "redis-calls", "name": "calls", "url": redis.url, "breakdown": {"by": "business_id", "top": 50}}]
    chosen = {"metrics": ["metric=~^(flood_value|business_calls_active)$"]}
    daemon.start(config(daemon, [*sources, graphite(relay.port, **chosen), graphite(carbon.port, "tagged", tags=True, prefix="t", **chosen),
                                 {"plugin": "stdout", "format": "json"}], interval="1s"))
    wait_for(lambda: counter(daemon, "samples_sent_total", "graphite") > 150, 30)
    daemon.stop()
    said = [s for s in samples(daemon) if s["metric"] in ("flood_value", "business_calls_active")]
    ascii_only = {path_of(s) for s in said if path_of(s).isascii()}  # the relay makes `_` of all else
    wait_for(lambda: ascii_only <= carbon.names("callwatch"), what="what the relay still has")
    names = carbon.names("callwatch")
    assert len({s["labels"]["series"] for s in said if s["metric"] == "flood_value"}) == len(HOSTILE)
    others = names - ascii_only
    assert all(name.startswith(("callwatch.host_example_net.flood.flood_value.", "callwatch.host_example_net.calls.business_calls_active."))
               and name.count(".") == 4 for name in others), others
    assert len(others) <= len({path_of(s) for s in said} - ascii_only)
    assert "invalid line" not in carbon.said and "evil" not in {name.split(".")[1] for name in names}
    for sample in said:
        assert carbon.file(tagged_name_of(sample, prefix="t")).exists(), sample
    # what was dropped is what had the name of another, each time
    want = {}
    for sample in said:
        want.setdefault((path_of(sample), int(sample["seconds"])), set()).add(str(sample["labels"]))
    collisions = sum(len(series) - 1 for series in want.values())
    for name in ("graphite", "tagged"):
        runs = [s for s in samples(daemon) if s["instance"] == name and s["metric"].startswith(("samples_", "output_queue"))]
        last = [s for s in runs if s["time"] == runs[-1]["time"]]
        dropped = sum(s["value"] for s in last if s["labels"].get("reason") == "collision")
        assert 0 < dropped <= collisions
        gone = sum(s["value"] for s in last if s["metric"] != "output_queue_length")
        waiting = sum(s["value"] for s in last if s["metric"] == "output_queue_length")
        accepted = sum(1 for s in said if s["seconds"] < last[0]["seconds"])
        assert accepted <= gone + waiting <= len(said)


# ---- 40: the receiver is dead, hangs, is slow ----


def readings(carbon, series=0):
    """Which readings of flood are there: a value is reading × 1000000 + series."""
    name = f"callwatch.host_example_net.flood.flood_value.s{series:06}"
    return {(int(value) - series) // 1000000 for value in carbon.points(name).values()} if carbon.file(name).exists() else set()


def assert_every_reading(carbon, series=20):
    for i in range(series):
        found = readings(carbon, i)
        assert found == set(range(1, max(found) + 1)), f"series {i}: {sorted(set(range(1, max(found))) - found)} are missing"


def test_fault_40_carbon_absent_frozen_and_killed_loses_nothing(carbon, daemon):
    daemon.start(config(daemon, [{"plugin": "flood", "series": 20}, graphite(carbon.port)], interval="1s"))
    daemon.wait_state("down", f"connection refused (127.0.0.1:{carbon.port})", name="graphite")
    carbon.start()
    daemon.wait_state("up", name="graphite", deadline=35)
    wait_for(lambda: len(readings(carbon)) >= 3, 20)
    carbon.freeze()
    before = daemon.instance("flood")["reads"]
    wait_for(lambda: daemon.instance("flood")["reads"] >= before + 3)
    assert daemon.state("graphite")[0] == "up"  # its kernel takes what little there is
    carbon.thaw()
    wait_for(lambda: max(readings(carbon)) >= before + 2)
    carbon.freeze()  # what it is sent now it will never read
    before = daemon.instance("flood")["reads"]
    wait_for(lambda: daemon.instance("flood")["reads"] >= before + 3)
    carbon.kill()
    daemon.wait_state("down", name="graphite")
    carbon.start()
    daemon.wait_state("up", name="graphite", deadline=35)
    last = daemon.instance("flood")["reads"]
    wait_for(lambda: max(readings(carbon)) >= last, 20)
    assert_every_reading(carbon)
    daemon.stop()
    assert "invalid line" not in carbon.said


def test_fault_40_dead_hung_and_slow_receivers_harm_nobody_else(make_receiver, daemon):
    """Four receivers, each with its own instance: dead, one that hangs, one that is slow, and a good one."""
    hung = make_receiver(treat=lambda port, number, read: 0)
    slow = make_receiver(treat=lambda port, number, read: 2000)
    good = make_receiver()
    small = {"metrics": ["instance=small"]}
    outputs = [graphite(free_port(), "dead"), graphite(hung.ports[0], "hung"), graphite(slow.ports[0], "slow", queue=50000),
               graphite(good.ports[0], "good", **small)]
    slow.treat = lambda port, number, read: time.sleep(0.02) or 2000
    daemon.start(config(daemon, [{"plugin": "flood", "name": "small", "series": 3}, {"plugin": "flood", "name": "large", "series": 30000}, *outputs]))
    daemon.wait_state("down", "connection refused", name="dead")
    daemon.wait_state("degraded", "is slow: it takes", name="slow", deadline=25)
    daemon.wait_state("down", "takes no data, nothing for 10 s: does it hang?", name="hung", deadline=30)
    asked = run_client(daemon, "doctor", "hung")
    assert "does the receiver hang?" in asked.stdout + asked.stderr
    assert daemon.state("good")[0] == "up"
    reads = daemon.instance("small")["reads"]

    def good_has():
        assert all(LINE.fullmatch(line) for line in good.lines())
        return {int(line.split()[1]) // 1000000 for line in good.lines() if ".flood_value." in line}

    wait_for(lambda: max(good_has()) >= reads)
    assert good_has() == set(range(1, max(good_has()) + 1))
    for name in ("dead", "hung", "slow"):
        row = daemon.instance(name)
        assert row["queue"] <= 130000 + 60000 and row["dropped"] > 0, row
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < 5 * SLOWER


def test_fault_40_an_outage_with_two_kills_of_ours_loses_nothing_with_a_spool(make_receiver, daemon):
    """Three lives of callwatchd, the first two ended by kill -9, fill the spool; then the receiver comes, and gets each sample with its time."""
    series, readings_each, port = 200, 5, free_port()
    text = config(daemon, [{"plugin": "flood", "series": series, "readings": readings_each},
                           graphite(port, spool="16MiB", metrics=["metric=flood_value"])])
    for life in range(3):
        daemon.start(text)
        wait_for(lambda: daemon.instance("flood")["reads"] > readings_each)
        wait_for(lambda: (row := daemon.instance("graphite"))["queue"] == 0 and row["spooled_bytes"] > 0)
        if life < 2:
            daemon.process.kill()
    receiver = make_receiver(at=port)
    wait_for(lambda: len(set(receiver.lines())) == 3 * series * readings_each, 40)
    assert all(LINE.fullmatch(line) for line in receiver.lines())
    assert len(receiver.lines()) == len(set(receiver.lines()))  # one connection, so nothing came twice
    assert len({line.rsplit(" ", 1)[1] for line in receiver.lines()}) >= 3
    daemon.wait_state("up", name="graphite")
    wait_for(lambda: daemon.instance("graphite")["spooled_bytes"] == 0)
    assert daemon.instance("graphite")["dropped"] == 0
    daemon.stop()


def test_callwatch_doctor_climbs_its_rungs(make_receiver, daemon):
    receiver = make_receiver()
    daemon.start(config(daemon, [{"plugin": "flood", "series": 3}, graphite(receiver.ports[0]), graphite(free_port(), "dead")]))
    wait_for(receiver.lines)
    done = run_client(daemon, "doctor", "graphite")
    assert done.returncode == 0, done.stdout + done.stderr
    for words in ("127.0.0.1 has 1 address", f"connected to 127.0.0.1:{receiver.ports[0]}", "data was last taken"):
        assert words in done.stdout
    done = run_client(daemon, "doctor", "dead")
    assert done.returncode == 1 and "connection refused" in done.stdout


# ---- 42: half a line, then the end of the connection ----


def test_fault_42_graphite_gets_whole_lines_wherever_the_connection_is_cut(make_receiver, daemon):
    """Instance i's first connection is reset after i × step bytes of its only send; the receiver ignores half a line, as all do."""
    expected = 3 * len("callwatch.host_example_net.flood.flood_value.s000000 1000000 1700000000\n")
    step = 1 if LARGE else 7
    cuts = list(range(0, expected + 1, step))

    def treat(port, number, read):
        return 65536 if number else min(65536, cuts[port] - read) or None

    receiver = make_receiver(len(cuts), treat=treat)
    outputs = [graphite(port, f"out{i}", metrics=["metric=flood_value"]) for i, port in enumerate(receiver.ports)]
    daemon.start(config(daemon, [{"plugin": "flood", "series": 3, "readings": 1}, *outputs]))

    def arrived():
        wanted = {f"callwatch.host_example_net.flood.flood_value.s{i:06} {1000000 + i}" for i in range(3)}
        for i, cut in enumerate(cuts):
            lines = receiver.lines(i)
            assert all(LINE.fullmatch(line) and line.rsplit(" ", 1)[0] in wanted for line in lines), (cut, lines)
            assert {line.rsplit(" ", 1)[0] for line in lines} == wanted, (cut, lines)
            assert len(lines) <= 6
        return True

    wait_for(arrived, 20, every=0.2)
    for output in outputs:
        wait_for(lambda name=output["name"]: daemon.instance(name)["queue"] == 0)
        assert daemon.instance(output["name"])["dropped"] == 0
    daemon.stop()


def test_fault_42_a_proxy_that_breaks_now_and_then_loses_no_reading(carbon, make_tool, daemon):
    """What the proxy had taken and not passed on was acknowledged; it is sent again all the same."""
    carbon.start()
    proxy = make_tool("proxy.py", "--to", f"127.0.0.1:{carbon.port}")
    daemon.start(config(daemon, [{"plugin": "flood", "series": 20}, graphite(proxy.url.rsplit(":", 1)[1])], interval="1s"))
    for cut in (1, 777, 4000):
        proxy.say(f"cut-up {cut}")
        wait_for(lambda: proxy.stats()["cuts"] > 0, 30)
        reads = daemon.instance("flood")["reads"]
        wait_for(lambda: readings(carbon) and max(readings(carbon)) > reads, 30)
    last = daemon.instance("flood")["reads"]
    wait_for(lambda: max(readings(carbon)) >= last, 20)
    assert_every_reading(carbon)
    daemon.stop()


# ---- options ----


@pytest.mark.parametrize("options,line,said", [
    ({}, 6, "address"),
    ({"address": "relay:99999"}, 6, "address: "),
    ({"address": "relay", "template": "{metric}.{who}.{labels}"}, 6, "template: `{who}`: there are {prefix}, {host}, {instance}, {metric} and {labels}"),
    ({"address": "relay", "template": "{metric}"}, 6, "template: {metric} and {labels} must be in it"),
    ({"address": "relay", "prefix": "a b"}, 6, "prefix: `a b`: only letters"),
    ({"address": "relay", "protcol": "udp"}, 6, "did you mean `protocol`"),
    ({"address": "relay", "counters": "rates"}, 6, "raw"),
    ({"address": "relay", "tags": True, "template": "{metric}.{labels}"}, 6, "with `tags: true` names are not made of a path"),
])
def test_mistakes_are_told_with_their_place(folder, options, line, said):
    text = f"agent:\n  hostname: h\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n  - plugin: graphite\n"
    text += "    " + "\n    ".join(f"{key}: {json.dumps(value)}" for key, value in options.items()) + "\n" if options else ""
    done = run_once(folder, text, "-t")
    assert done.returncode == 78
    assert "once.yaml:" in done.stderr and said in done.stderr, done.stderr
