# SPDX-License-Identifier: MIT
"""The names of businesses in table `calls`: they are those of the platform's database, whatever comes and goes, and no row waits for one."""

import time

import pytest

import harness
import oracle
from harness import BUILD, config, run_client, wait_for

POSTGRES = '- {{ plugin: postgres-lookup, name: businesses, url: "{url}", negative_ttl: 1s }}'
NAMES = "- {{ plugin: names, name: businesses{options} }}"  # tests/plugins/names.c


def with_tests_plugins(text):
    return text.replace(f"plugin_dir: [{BUILD}/plugins]", f"plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]")


def misnamed(daemon, names):
    return [f"{row['call_sid']} of {row['business_id']}: {row['business_name']!r}, should be {names.get(row['business_id'])!r}"
            for row in daemon.rows("calls") if row["business_name"] != names.get(row["business_id"])]


def wait_none(wrong, deadline=20):
    """Until wrong() finds nothing."""
    try:
        wait_for(lambda: not wrong(), deadline, every=0.3, what="the table to be right")
    except harness.Deadline as e:
        raise harness.Deadline(f"{e}\n" + "\n".join(wrong()[:20])) from None


@pytest.mark.sanitize
def test_the_names_equal_the_oracle(redis, postgres, make_sim, daemon):
    make_sim(redis.url, "--postgres", postgres.url, "--calls", 2000, "--businesses", 300, "--malformed", 146, "--load-only")
    since = time.time()
    daemon.start(config(daemon, redis.url, calls="lookup: businesses", more=POSTGRES.format(url=postgres.url)))
    names = oracle.read_names(postgres)
    wait_none(lambda: oracle.compare(daemon, redis.client, since, names=names))
    shown = {row["business_name"] for row in daemon.rows("calls")}
    assert None in shown and "Unknown Business" in shown and len(shown) > 100
    assert not any("+1415" in (name or "") for name in shown) and any("••••••" in (name or "") for name in shown)
    daemon.wait_state("up", name="businesses")


@pytest.mark.sanitize
def test_the_names_are_right_after_churn_and_a_restart_of_the_server(redis, postgres, make_sim, daemon):
    redis.client.config_set("notify-keyspace-events", "KA")
    sim = make_sim(redis.url, "--postgres", postgres.url, "--calls", 500, "--businesses", 400, "--rate", 100)
    daemon.start(config(daemon, redis.url, calls="lookup: businesses", more=POSTGRES.format(url=postgres.url)))
    wait_for(lambda: sim.status()["ended"] > 200, 20, what="calls to end")
    postgres.stop()
    wait_for(lambda: sim.status()["ended"] > 400, 20, what="calls to end")
    postgres.start()
    wait_for(lambda: sim.status()["ended"] > 600, 20, what="calls to end")
    sim.say("pause")
    names = oracle.read_names(postgres)
    wait_none(lambda: misnamed(daemon, names), deadline=30)
    assert len(daemon.rows("calls")) > 300


@pytest.mark.large
def test_as_many_businesses_as_calls(redis, postgres, make_sim, daemon):
    """The rows do not wait for the names, nor do the readings."""
    n = 100000 if harness.LARGE else 10000
    make_sim(redis.url, "--postgres", postgres.url, "--calls", n, "--businesses", n, "--load-only")
    daemon.start(config(daemon, redis.url, calls="lookup: businesses", more=POSTGRES.format(url=postgres.url)))
    names = oracle.read_names(postgres)
    wait_for(lambda: daemon.total("calls") == n, 60, what="the calls")
    before = daemon.instance("calls")["overruns"]  # the first reading is all of them, and may take longer than an interval
    wait_none(lambda: misnamed(daemon, names), deadline=90)
    assert daemon.instance("calls")["overruns"] == before


@pytest.mark.sanitize
def test_fault_27_a_lookup_that_hangs_costs_the_calls_nothing(redis, make_sim, daemon):
    sim = make_sim(redis.url, "--calls", 50, "--businesses", 20, "--beat", "500ms")
    text = with_tests_plugins(config(daemon, redis.url, calls="lookup: businesses", more=NAMES.format(options=", hang: true")))
    daemon.start(text)
    daemon.wait_total(50)
    assert all(row["business_name"] is None for row in daemon.rows("calls"))
    since = daemon.instance("calls")["since"]
    sim.say("start 10")
    daemon.wait_total(60)
    wait_for(lambda: all(row["heartbeat_age_seconds"] < 2 for row in daemon.rows("calls")), what="heartbeats to be seen")
    daemon.configure(text.replace(", hang: true", ""))
    assert "1 restarted (businesses)" in run_client(daemon, "reload").stdout
    wait_for(lambda: all(row["business_name"] == f"name {row['business_id']}" for row in daemon.rows("calls")), 20, what="the names")
    assert daemon.instance("calls")["since"] == since
    daemon.process.end(deadline=10)


def test_what_was_not_answered_is_asked_for_again(redis, daemon):
    redis.client.hset("call_ctx:CA1", "business_id", "never-answered")
    redis.client.hset("call_ctx:CA2", "business_id", "nobody")
    daemon.start(with_tests_plugins(config(daemon, redis.url, calls="lookup: businesses", more=NAMES.format(options=""))))

    def asked():
        lines = daemon.request("GET", "/metrics")[1].decode().splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith("callwatch_names_asked_total"))

    daemon.wait_total(2)
    wait_for(lambda: asked() >= 3, 20, what="the one to be asked for again")
    assert all(row["business_name"] is None for row in daemon.rows("calls"))


def test_lookup_that_is_not_there_is_refused_with_its_place(redis, daemon):
    text = config(daemon, redis.url, calls="lookup: bussinesses", more=POSTGRES.format(url="postgresql:///x"))
    done = harness.run_once(daemon.folder, text, "-t")
    assert done.returncode == 78 and "there is no instance `bussinesses`; did you mean `businesses`?" in done.stderr
    done = harness.run_once(daemon.folder, text.replace("bussinesses", "calls"), "-t")
    assert done.returncode == 78 and "`calls` has the role source (plugin redis-calls), and a lookup is needed" in done.stderr
