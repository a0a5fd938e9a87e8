# SPDX-License-Identifier: MIT
"""Into a real collectd: our output `collectd`, by the network and by the socket, against collectd's own network plugin.

The receiver is a collectd whose filter chain stops everything but its own figures, which its csv plugin writes every 0.2 s: what its
network plugin has dispatched is counted there. The peer is another collectd, fed by a plugin in its own process
(collectd_feeder.c) as fast as its API takes; ours is fed by tests/plugins/flood.c. Both send the same series with the same names.
"""

import contextlib
import json
import pathlib
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "system"))

import collectd  # noqa: E402
import harness  # noqa: E402

SERIES, READINGS = 10000, 30
VALUES = SERIES * READINGS
ONLY_ITSELF = """Timeout 100000
LoadPlugin match_regex
PostCacheChain "PostCache"
<Chain "PostCache">
  <Rule>
    <Match "regex">
      Host "^here$"
    </Match>
    Target "write"
    Target "return"
  </Rule>
  Target "stop"
</Chain>
"""


class Receiver(collectd.Collectd):
    def __init__(self, folder, security):
        super().__init__(folder, "receiver", listen=[("127.0.0.1", security)], more=ONLY_ITSELF)
        text = self.conf.read_text().replace("LoadPlugin network\n", "<LoadPlugin network>\n  Interval 0.2\n</LoadPlugin>\n")
        text = text.replace("<Plugin network>\n", "<Plugin network>\n  ReportStats true\n").replace("WriteThreads 1", "WriteThreads 5")
        self.conf.write_text(text.replace("LogLevel info", "LogLevel warning"))

    def start(self):
        self.process = harness.Process(self.folder, "daemon", ["collectd", "-f", "-C", self.conf])
        harness.wait_for(self.socket.exists, 30, what="the receiver")
        return self

    def points(self):
        """[(time, values dispatched by its network plugin since it started)]"""
        found = []
        for path in self.csv.glob("here/network/total_values-dispatch-accepted-*"):
            for line in path.read_text().splitlines()[1:]:
                when, _, count = line.partition(",")
                if count:
                    found.append((float(when), int(float(count))))
        return sorted(found)

    def measure(self, expected, patience=60):
        """(values a second, values lost): from the last moment without any to the first with the last of them."""
        deadline, last, unchanged = time.monotonic() + patience, -1, time.monotonic()
        while time.monotonic() < deadline:
            points = self.points()
            now = points[-1][1] if points else 0
            if now != last:
                last, unchanged = now, time.monotonic()
            if now >= expected or (now and time.monotonic() - unchanged > 3):
                break
            time.sleep(0.2)
        points = self.points()
        begin = max((when for when, count in points if count == 0), default=points[0][0])
        end = min(when for when, count in points if count == points[-1][1])
        return points[-1][1] / max(end - begin, 0.2), expected - points[-1][1]


@contextlib.contextmanager
def receiver(bench, security):
    folder = pathlib.Path(tempfile.mkdtemp(dir=bench.folder))
    made = Receiver(folder, security)
    try:
        yield made.start()
    finally:
        made.kill()


def theirs(bench, security):
    """collectd's own network plugin: (values a second, values lost)."""
    with receiver(bench, security) as to:
        folder = pathlib.Path(tempfile.mkdtemp(dir=bench.folder))
        conf = folder / "conf"
        user = "" if security == "none" else f'    Username "{collectd.USER}"\n    Password "{collectd.PASSWORD}"\n'
        conf.write_text(
            f'Hostname "there"\nFQDNLookup false\nBaseDir "{folder}"\nPIDFile "{folder}/pid"\nTypesDB "{collectd.TYPES_DB}"\nInterval 0.05\n'
            f'PluginDir "{bench.build}/tests/collectd"\nLoadPlugin feeder\nPluginDir "/usr/lib/collectd"\nLoadPlugin network\n'
            f'<Plugin network>\n  <Server "127.0.0.1" "{to.ports[0]}">\n    SecurityLevel "{security}"\n{user}  </Server>\n</Plugin>\n')
        sender = subprocess.Popen(["collectd", "-f", "-C", str(conf)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                  env={"FEEDER_SERIES": str(SERIES), "FEEDER_READINGS": str(READINGS), "PATH": "/usr/bin:/usr/sbin"})
        try:
            return to.measure(VALUES)
        finally:
            sender.kill()
            sender.wait()


def ours(bench, security, rate):
    """Our output by the network at `rate` packets a second: (values a second, values lost)."""
    with receiver(bench, security) as to:
        user = {} if security == "none" else {"username": collectd.USER, "password": collectd.PASSWORD}
        where = {"address": f"127.0.0.1:{to.ports[0]}", "security": security, "rate": rate, **user}
        with bench.callwatchd(plugins({"network": where})):
            return to.measure(VALUES)


def plugins(way):
    flood = {"plugin": "flood", "series": SERIES, "readings": READINGS, "interval": "50ms"}
    output = {"plugin": "collectd", "queue": 2 * VALUES, "metrics": ["instance=flood", "metric=flood_value"], **way}
    return "plugins:\n" + "".join(f"  - {json.dumps(plugin)}\n" for plugin in (flood, output))


def by_socket(bench, ask):
    """Our output by the socket: (values a second, values lost); collectd has answered each of them. From the first batch
    that was settled to the last, as the bare client's clock does not run while it starts either."""
    with receiver(bench, "none") as to, bench.callwatchd(plugins({"socket": str(to.socket)})) as (_, control):
        deadline, seen = time.monotonic() + 120, []
        while time.monotonic() < deadline and (not seen or seen[-1][1] < VALUES):
            time.sleep(0.1)
            states = {row["instance"]: row for row in json.loads(ask(control, "/api/v1/tables/instances"))["rows"]}
            produced = min(states["flood"]["reads"], READINGS) * SERIES
            settled = produced - states["collectd"]["queue"]
            if settled > 0 and (not seen or settled > seen[-1][1]):
                seen.append((time.monotonic(), settled))
        (began, first), (ended, last) = seen[0], seen[-1]
        return (last - first) / (ended - began), VALUES - last + (states["collectd"]["dropped"] or 0)


def bare_client(bench):
    """A client that does nothing but write PUTVALs and read the answers: what the socket takes at most."""
    with receiver(bench, "none") as to:
        program = [bench.program("floor_putval"), str(to.socket), str(VALUES), str(SERIES)]
        done = subprocess.run(program, capture_output=True, text=True, check=True)
        return float(done.stdout)
