# SPDX-License-Identifier: MIT
"""Source exec: real scripts, run by a real callwatchd (and one of them by a real collectd), seen where people look: /api/v1/status, the log,
stdout. As root the scripts run as `nobody`."""

import json
import os
import subprocess
from pathlib import Path

import pytest

from harness import BUILD, Process, run_once, wait_for

ROOT = os.geteuid() == 0
USER = "    user: nobody\n" if ROOT else ""

# As in collectd's own documentation of exec: a loop, host and interval from the environment.
COLLECTD_SCRIPT = """#!/bin/bash
HOSTNAME="${COLLECTD_HOSTNAME:-$(hostname -f)}"
INTERVAL="${COLLECTD_INTERVAL:-60}"
bytes=1000
while sleep "$INTERVAL"; do
  bytes=$((bytes + 500))
  echo "PUTVAL \\"$HOSTNAME/exec-magic/gauge-level\\" interval=$INTERVAL N:42.5"
  echo "PUTVAL \\"$HOSTNAME/exec-net/if_octets-eth0\\" interval=$INTERVAL N:$bytes:$((bytes * 2))"
done
"""

PROMETHEUS_SCRIPT = """#!/bin/sh
cat <<END
# HELP backup_bytes Size of the last backup
# TYPE backup_bytes gauge
backup_bytes{set="db"} 1e9
backup_bytes{set="files"} 25
# TYPE backup_seconds histogram
backup_seconds_bucket{le="1"} 2
backup_seconds_bucket{le="10"} 3
backup_seconds_bucket{le="+Inf"} 4
backup_seconds_sum 42.5
backup_seconds_count 4
END
"""

# Nobody here goes when asked to; their numbers are in the file.
STUBBORN_SCRIPT = """#!/bin/sh
trap '' TERM
sleep 1000 &
(sleep 1000 >/dev/null 2>&1 & echo $! > FOLDER/grandchild.tmp; mv FOLDER/grandchild.tmp FOLDER/grandchild.pid; sleep 1000) &
echo "$$ $!" > FOLDER/pids.tmp; mv FOLDER/pids.tmp FOLDER/pids
echo stubborn 1
while :; do sleep 1000; done
"""


@pytest.fixture
def script(folder):
    """script(name, text): an executable that the program's user can reach; FOLDER in it is one it may write to."""
    os.chmod(folder, 0o755)
    place = folder / "out"
    place.mkdir()
    os.chmod(place, 0o777)

    def make(name, text):
        path = folder / name
        path.write_text(text.replace("FOLDER", str(place)))
        os.chmod(path, 0o755)
        return path

    return make


def instance(name, command, options=""):
    """`command`: a path, or a YAML list. `options`: lines."""
    command = command if isinstance(command, str) else f'["{command}"]'
    more = "".join(f"    {line}\n" for line in options.strip().split("\n") if line)
    return f"  - plugin: exec\n    name: {name}\n    command: {command}\n{USER}{more}"


def config(daemon, *instances, interval="1s"):
    return (f"agent:\n  hostname: testhost\n  interval: {interval}\n  state_dir: {daemon.folder}/state\n  plugin_dir: [{BUILD}/plugins]\nplugins:\n"
            + "".join(instances) + f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")


def once_config(*instances):
    return f"agent: {{ hostname: testhost, plugin_dir: [{BUILD}/plugins] }}\nplugins:\n" + "".join(instances)


def metrics(daemon, name):
    """Of an instance, by `metric{label=value,…}`."""
    found = {}
    for sample in daemon.get("/api/v1/status")["metrics"]:
        if sample["instance"] == name:
            labels = ",".join(f"{key}={value}" for key, value in sample["labels"].items())
            found[f"{sample['metric']}{{{labels}}}"] = sample.get("value", sample)
    return found


def wait_metric(daemon, name, series, condition=lambda value: True):
    def holds():
        value = metrics(daemon, name).get(series)
        return value is not None and condition(value) and (value,)

    return wait_for(holds, 15, what=f"{series} of {name}")[0]


def is_alive(pid):
    """A zombie that init has not buried yet is not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def pids_of(folder):
    def read():
        return (folder / "out/pids").read_text().split() + [(folder / "out/grandchild.pid").read_text().strip()]

    return [int(pid) for pid in wait_for(read, 15, what="the script's children")]


def wait_dead(pids):
    wait_for(lambda: not any(map(is_alive, pids)), 15, what=f"the end of {pids}")


# ---- collectd's scripts ----


@pytest.mark.sanitize
def test_a_script_of_collectd_runs_unchanged(daemon, script):
    path = script("magic.sh", COLLECTD_SCRIPT)
    daemon.start(config(daemon, instance("magic", path, "long_running: true")))
    assert wait_metric(daemon, "magic", "collectd_exec_gauge{collectd_instance=magic,type_instance=level}") == 42.5
    received = "collectd_exec_if_octets_rx_total{collectd_instance=net,type_instance=eth0}"
    first = wait_metric(daemon, "magic", received)
    second = wait_metric(daemon, "magic", received, lambda value: value > first)
    assert (second - first) % 500 == 0
    sent = metrics(daemon, "magic")["collectd_exec_if_octets_tx_total{collectd_instance=net,type_instance=eth0}"]
    assert sent >= second * 2
    assert daemon.state("magic") == ("up", "running")
    assert metrics(daemon, "magic")["exec_runs_total{result=ok}"] == 0  # it is the same one still


def test_the_same_script_says_the_same_to_a_real_collectd(folder, script):
    path = script("magic.sh", COLLECTD_SCRIPT)
    user = "nobody" if ROOT else subprocess.check_output(["id", "-un"], text=True).strip()
    (folder / "collectd.conf").write_text(f"""
        Hostname "testhost"
        FQDNLookup false
        BaseDir "{folder}/base"
        PIDFile "{folder}/collectd.pid"
        TypesDB "/usr/share/collectd/types.db"
        Interval 1
        LoadPlugin exec
        <Plugin exec>
          Exec "{user}" "{path}"
        </Plugin>
        LoadPlugin csv
        <Plugin csv>
          DataDir "{folder}/csv"
        </Plugin>
        """.rstrip(" "))
    collectd = Process(folder, "collectd", ["collectd", "-f", "-C", folder / "collectd.conf"])
    try:
        level = wait_for(lambda: list((folder / "csv/testhost/exec-magic").glob("gauge-level-*")), 20, what="collectd's csv")[0]
        assert wait_for(lambda: level.read_text().split("\n")[1], 20).split(",")[1].startswith("42.5")
    finally:
        collectd.end()
    done = run_once(folder, once_config(instance("magic", path, "long_running: true\ninterval: 1s\ntimeout: 20s")), "--once", "--format", "putval")
    assert done.returncode == 0, done.stderr
    assert 'testhost/callwatch-magic/gauge-collectd_exec_gauge-magic-level" interval=1.000' in done.stdout.replace("%2D", "-"), done.stdout


# ---- one reading, one run ----


@pytest.mark.sanitize
def test_prometheus_text_of_a_script_in_the_status_and_the_scrape(daemon, script):
    daemon.start(config(daemon, instance("backups", script("backups.sh", PROMETHEUS_SCRIPT), "format: prometheus")))
    assert wait_metric(daemon, "backups", "backup_bytes{set=db}") == 1e9
    assert wait_metric(daemon, "backups", "backup_bytes{set=files}") == 25
    assert daemon.state("backups") == ("up", None)
    scrape = daemon.request("GET", "/metrics")[1].decode()
    for line in ('# HELP callwatch_backup_bytes Size of the last backup\n', '# TYPE callwatch_backup_seconds histogram\n',
                 'callwatch_backup_seconds_bucket{plugin_instance="backups",le="10"} 3\n',
                 'callwatch_backup_seconds_sum{plugin_instance="backups"} 42.5\n'):
        assert line in scrape, scrape


def test_once_prints_each_format(folder, script):
    done = run_once(folder, once_config(
        instance("a", script("a.sh", '#!/bin/sh\necho "PUTVAL h/p/gauge-x N:1"; echo "PUTVAL h/p/derive-x N:1"')),
        instance("b", script("b.sh", PROMETHEUS_SCRIPT), "format: prometheus"),
        instance("c", script("c.sh", "#!/bin/sh\necho servers.web-1.load 0.5 1700000000"), "format: graphite"),
        instance("d", script("d.sh", """#!/bin/sh\necho '{"metric": "room", "value": 21.5, "labels": {"floor": "2"}}'"""), "format: ndjson"),
    ), "--once", "--format", "json")
    assert done.returncode == 0, done.stderr
    got = {(line["instance"], line["metric"]): line for line in map(json.loads, done.stdout.splitlines())}
    assert got["a", "collectd_p_gauge"]["labels"] == {"collectd_host": "h", "collectd_instance": "", "type_instance": "x"}
    assert ("a", "collectd_p_derive_total") not in got  # with --once counters are left out
    assert got["b", "backup_bytes"]["value"] in (1e9, 25)
    assert got["c", "servers_web_1_load"]["time"] == "2023-11-14T22:13:20.000Z"
    assert got["d", "room"]["value"] == 21.5 and got["d", "room"]["labels"] == {"floor": "2"}


def test_once_fails_if_a_script_did(folder, script):
    done = run_once(folder, once_config(instance("a", script("a.sh", "#!/bin/sh\necho a 1; echo no UPS >&2; exit 3"), "format: graphite")),
                    "--once", "--format", "graphite")
    assert done.returncode == 1
    assert "callwatch.testhost.a.a 1 " in done.stdout
    assert "exit status 3: no UPS" in done.stderr


@pytest.mark.sanitize
def test_bad_bytes_harm_only_their_own_lines(daemon, script, client):
    text = ("#!/bin/sh\n" r"printf 'good 1\n\377\376\200 x\nlabelled;name=caf\303\251\377 2\nesc\033[2Jape 3 4 5\nnul\000byte 1\nlast 7\n'")
    daemon.start(config(daemon, instance("dirty", script("dirty.sh", text), "format: graphite")))
    wait_metric(daemon, "dirty", "last{}", lambda value: value == 7)
    found = metrics(daemon, "dirty")
    assert found["good{}"] == 1
    assert found["labelled{name=café\\xff}"] == 2
    state, reason = daemon.state("dirty")
    assert state == "degraded" and reason == "line 2: `x` is not a number (and 2 more lines like it)"
    shown = client("status").stdout
    assert "\x1b[2J" not in shown and "line 2" in shown
    wait_for(lambda: daemon.instance("dirty")["malformed"] >= 3)


def test_times_that_repeat_are_collisions_and_the_books_say_so(daemon, script):
    """A script that prints the same old time at each reading: one sample is sent, each later one is counted."""
    daemon.start(config(daemon, instance("old", script("old.sh", "#!/bin/sh\necho old 1 1700000000; echo new 1"), "format: graphite\ninterval: 100ms")))
    collided = wait_metric(daemon, "old", "samples_dropped_total{reason=collision}", lambda value: value >= 3)
    assert collided <= daemon.instance("old")["reads"]
    assert daemon.state("old")[0] == "up"


# ---- how programs are ended ----


@pytest.mark.sanitize
def test_timeout_ends_the_whole_group(daemon, script, folder):
    path = script("stubborn.sh", STUBBORN_SCRIPT)
    daemon.start(config(daemon, instance("stubborn", path, "format: graphite\ntimeout: 500ms\ninterval: 1h")))
    pids = pids_of(folder)
    daemon.wait_state("degraded", "it ran for longer than 500ms and was ended", name="stubborn")
    wait_dead(pids)
    assert daemon.instance("stubborn")["errors"] == 1


@pytest.mark.parametrize("long_running", ["false", "true"])
def test_stop_leaves_nobody_behind(daemon, script, folder, long_running):
    path = script("stubborn.sh", STUBBORN_SCRIPT)
    daemon.start(config(daemon, instance("stubborn", path, f"format: graphite\nlong_running: {long_running}"), interval="1h"), wait=False)
    pids = pids_of(folder)
    daemon.stop()
    assert not any(map(is_alive, pids))
    assert "left" not in daemon.stderr


def test_killed_callwatchd_takes_its_program_with_it(daemon, script, folder):
    path = script("loop.sh", "#!/bin/sh\necho $$ > FOLDER/pid; while :; do echo a 1; sleep 0.2; done")
    daemon.start(config(daemon, instance("loop", path, "format: graphite\nlong_running: true")))
    pid = int((folder / "out/pid").read_text())
    daemon.process.kill()
    wait_dead([pid])


def test_a_gigabyte_is_cut(daemon, script):
    path = script("flood.sh", "#!/bin/sh\necho a 1\nyes 'b 2' | head -c 1000000000")
    daemon.start(config(daemon, instance("flood", path, "format: graphite\nmax_output: 1MiB\ninterval: 200ms\ntimeout: 60s")))
    wait_metric(daemon, "flood", "exec_runs_total{result=cut}", lambda value: value >= 3)
    before = daemon.process.rss_kib()
    cuts = metrics(daemon, "flood")["exec_runs_total{result=cut}"]
    wait_metric(daemon, "flood", "exec_runs_total{result=cut}", lambda value: value >= cuts + 5)
    assert daemon.process.rss_kib() < before + 20 * 1024
    assert daemon.state("flood") == ("degraded", "it printed more than max_output and was ended")


def test_a_program_that_closes_its_output_but_lives(daemon, script, folder):
    text = "#!/bin/sh\necho a 1; echo $$ > FOLDER/NAME; exec >&-; sleep 1000"
    daemon.start(config(daemon, instance("run", script("run.sh", text.replace("NAME", "run")), "format: graphite\ntimeout: 2s"),
                        instance("loop", script("loop.sh", text.replace("NAME", "loop")), "format: graphite\nlong_running: true"), interval="1h"), wait=False)
    daemon.wait_state("degraded", "it ran for longer than 2s", name="run")
    daemon.wait_state("degraded", "it closed its stdout, ran on and was ended", name="loop")
    wait_dead([int((folder / "out/run").read_text()), int((folder / "out/loop").read_text())])


def test_a_program_that_fails_is_told_and_tried_again(daemon, script, folder):
    daemon.start(config(daemon, instance("failing", script("x.sh", "#!/bin/sh\ntest -e FOLDER/well || { echo not well >&2; exit 2; }; echo a 1"), "format: graphite"),
                        instance("missing", str([str(folder / "nothing.sh")])), interval="200ms"))
    daemon.wait_state("down", "exit status 2: not well", name="failing")
    daemon.wait_state("down", "nothing.sh: executing: No such file or directory", name="missing")
    (folder / "out/well").touch()
    daemon.wait_state("up", name="failing")
    script("nothing.sh", "#!/bin/sh\necho 'PUTVAL h/p/gauge N:1'")
    daemon.wait_state("up", name="missing")


@pytest.mark.skipif(not ROOT, reason="only root can be refused")
def test_root_runs_no_command(daemon, script, folder):
    path = script("who.sh", "#!/bin/sh\ntouch FOLDER/ran\necho who $(id -u)")
    text = config(daemon, instance("nobody", path, "format: graphite"),
                  f"  - {{ plugin: exec, name: unset, command: [{path}], format: graphite }}\n",
                  f"  - {{ plugin: exec, name: root, command: [{path}], format: graphite, user: root }}\n")
    daemon.start(text)
    assert wait_metric(daemon, "nobody", "who{}") == 65534
    for name in ("unset", "root"):
        assert daemon.state(name)[0] == "down" and "no command is run as root: set `user:`" in daemon.state(name)[1]
        assert "who{}" not in metrics(daemon, name)


# ---- reload, doctor, books ----


def test_reload_takes_the_new_command_and_leaves_the_others_alone(daemon, script, folder, client):
    loop = "#!/bin/sh\necho $$ > FOLDER/NAME; while :; do echo NAME 1; sleep 0.1; done"
    paths = {name: script(f"{name}.sh", loop.replace("NAME", name)) for name in ("before", "after", "other")}
    options = "format: graphite\nlong_running: true"
    daemon.start(config(daemon, instance("changing", paths["before"], options), instance("staying", paths["other"], options)))
    wait_metric(daemon, "changing", "before{}")
    wait_metric(daemon, "staying", "other{}")
    before, staying = (int((folder / "out" / name).read_text()) for name in ("before", "other"))
    daemon.configure(config(daemon, instance("changing", paths["after"], options), instance("staying", paths["other"], options)))
    assert client("reload").returncode == 0
    wait_metric(daemon, "changing", "after{}")
    assert not is_alive(before)
    assert is_alive(staying) and int((folder / "out/other").read_text()) == staying


def test_many_reloads_leave_no_process_and_no_descriptor(daemon, script, client):
    path = script("loop.sh", "#!/bin/sh\nwhile :; do echo a $1; sleep 0.1; done")

    def text(number):
        return config(daemon, instance("loop", f'["{path}", "{number}"]', "format: graphite\nlong_running: true"))

    daemon.start(text(0))
    wait_metric(daemon, "loop", "a{}")
    fds = daemon.process.fds()
    for number in range(1, 6):
        daemon.configure(text(number))
        assert client("reload").returncode == 0
        wait_metric(daemon, "loop", "a{}", lambda value, number=number: value == number)
    wait_for(lambda: daemon.process.fds() <= fds + 2)
    children = subprocess.run(["ps", "--ppid", str(daemon.pid), "-o", "pid="], capture_output=True, text=True).stdout.split()
    assert len(children) == 1, children


def test_doctor_names_the_broken_rung(daemon, script, client):
    daemon.start(config(daemon, instance("good", script("good.sh", "#!/bin/sh\necho a 1"), "format: graphite"),
                        instance("bad", script("bad.sh", "#!/bin/sh\nexit 4"), "format: graphite")))
    daemon.wait_state("down", "exit status 4", name="bad")
    shown = client("doctor").stdout
    assert "exit status 0" in shown and "1 series, every line was understood" in shown, shown
    assert "exit status 4" in shown, shown


def test_every_sample_of_a_chatty_program_arrives(daemon, script):
    """10,000 lines in one go and again at the end; produced = what the program printed and what exec says of itself."""
    path = script("chatty.sh", "#!/bin/sh\nfor round in 1 2; do for i in $(seq 1 5000); do echo \"many;n=$i $round\"; done; sleep 0.5; done; sleep 1000")
    daemon.start(config(daemon, instance("chatty", path, "format: graphite\nlong_running: true\nmax_series: 5000\ninterval: 1h")))
    wait_for(lambda: sum(1 for key, value in metrics(daemon, "chatty").items() if key.startswith("many{") and value == 2) == 5000, 30, what="5,000 series")
    own = 14  # of the one reading, less what a second one would bring
    produced = wait_metric(daemon, "chatty", "samples_produced_total{}", lambda value: value >= 10000)
    assert 10000 <= produced <= 10000 + own
    assert metrics(daemon, "chatty").get("samples_dropped_total{reason=collision}", 0) == 0
