# SPDX-License-Identifier: MIT
"""To a Graphite receiver that reads everything (sink.c): our output `graphite` against collectd's write_graphite.

Both are fed in their own process, as fast as they take it: ours by tests/plugins/flood.c, collectd by collectd_feeder.c with as many
values as fit its queue. The names are of the same length. CPU is of the whole process, the source and all else in it
included.
"""

import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import time

SOURCES, SERIES = 10, 2000  # 2,000,000 samples a second at 10 ms, more than two cores take
FED, READINGS = 20000, 30


class Sink:
    def __init__(self, bench):
        self.process = subprocess.Popen([bench.program("sink")], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.port = int(self.process.stdout.readline())

    def lines(self):
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline().split()[0])


@contextlib.contextmanager
def sink(bench):
    made = Sink(bench)
    try:
        yield made
    finally:
        made.process.stdin.close()
        made.process.wait()
        made.process.stdout.close()


def cpu_of_threads(pid, name):
    """Seconds of the threads called like that."""
    ticks = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        with contextlib.suppress(FileNotFoundError):
            before, after = (task / "stat").read_text().rsplit(")", 1)
            fields = after.split()
            ticks += int(fields[11]) + int(fields[12]) if before.endswith("(" + name) else 0
    return ticks / os.sysconf("SC_CLK_TCK")


def ours(bench, cpu_seconds, seconds=4):
    """(samples a second, CPU seconds a sample of the process, and of the output alone)."""
    with sink(bench) as to:
        floods = [{"plugin": "flood", "name": f"flood{i}", "series": SERIES, "interval": "10ms"} for i in range(SOURCES)]
        output = {"plugin": "graphite", "address": f"127.0.0.1:{to.port}", "metrics": ["metric=flood_value"]}
        config = bench.config("plugins:\n" + "".join(f"  - {json.dumps(plugin)}\n" for plugin in [*floods, output]))
        daemon = subprocess.Popen([bench.program("callwatchd"), "-c", str(config)], stderr=subprocess.DEVNULL)
        try:
            time.sleep(2)
            lines, cpu, own, began = to.lines(), cpu_seconds(daemon.pid), cpu_of_threads(daemon.pid, "graphite"), time.monotonic()
            time.sleep(seconds)
            sent = to.lines() - lines
            return (sent / (time.monotonic() - began), (cpu_seconds(daemon.pid) - cpu) / sent,
                    (cpu_of_threads(daemon.pid, "graphite") - own) / sent)
        finally:
            daemon.terminate()
            daemon.wait(timeout=10)


def theirs(bench, cpu_seconds, deadline=60):
    """collectd's write_graphite: (values a second, CPU seconds a value)."""
    with sink(bench) as to:
        folder = pathlib.Path(tempfile.mkdtemp(dir=bench.folder))
        conf = folder / "conf"
        conf.write_text(
            f'Hostname "bench"\nFQDNLookup false\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\nTypesDB "/usr/share/collectd/types.db"\nInterval 0.01\n'
            f'PluginDir "{bench.build}/tests/collectd"\nLoadPlugin feeder\nPluginDir "/usr/lib/collectd"\nLoadPlugin write_graphite\n'
            f'<Plugin write_graphite>\n  <Node "sink">\n    Host "127.0.0.1"\n    Port "{to.port}"\n    Protocol "tcp"\n  </Node>\n</Plugin>\n')
        sender = subprocess.Popen(["collectd", "-f", "-C", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={"FEEDER_SERIES": str(FED), "FEEDER_READINGS": str(READINGS), "PATH": "/usr/bin:/usr/sbin"})
        try:
            began, end, cpu = None, time.monotonic() + deadline, 0
            while (lines := to.lines()) < FED * READINGS - 20 and time.monotonic() < end:  # the last few wait in its buffer
                if lines and began is None:
                    began, before = time.monotonic(), lines
                    cpu = cpu_seconds(sender.pid)
                time.sleep(0.005)
            sent = to.lines() - before
            return sent / (time.monotonic() - began), (cpu_seconds(sender.pid) - cpu) / sent
        finally:
            sender.kill()
            sender.wait()
