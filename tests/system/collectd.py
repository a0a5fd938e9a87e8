# SPDX-License-Identifier: MIT
"""A private collectd, and what it should make of samples: an independent reading of plugins/format/format_collectd.h.

Collectd writes what arrives with its csv plugin; `Collectd.values()` reads that back.
"""

import collections
import math
import re
from pathlib import Path

from harness import Process, free_port, wait_for

TYPES_DB = Path("/usr/share/collectd/types.db")
FIELD = 127
USER, PASSWORD = "callwatch", "a secret, with ümlaut"


def single_types(path=TYPES_DB):
    """Types with one value: {name: kind}."""
    found = {}
    for line in path.read_text().splitlines():
        words = line.split(None, 1)
        if len(words) == 2 and not line.startswith("#") and "," not in words[1] and " " not in words[1].strip():
            found[words[0]] = words[1].split(":")[1]
    return found


class Collectd:
    """collectd with unixsock, csv, and network listeners: `listen` has (address, security level); ports are in `ports`.

    One write thread: with several, csv makes a file twice at a time, and the second wipes out what the first wrote.
    """

    def __init__(self, folder, name="collectd", listen=(), types_db=TYPES_DB, more="", csv=True):
        self.name, self.folder = name, folder / name
        self.folder.mkdir()
        self.socket, self.csv, self.log = self.folder / "sock", self.folder / "csv", self.folder / "log"
        self.ports = [free_port() for _ in listen]
        self.process = None
        (self.folder / "auth").write_text(f"{USER}: {PASSWORD}\n")
        listeners = "".join(f'  <Listen "{address}" "{port}">\n    SecurityLevel "{level}"\n    AuthFile "{self.folder}/auth"\n  </Listen>\n'
                            for (address, level), port in zip(listen, self.ports))
        self.conf = self.folder / "conf"
        self.conf.write_text(
            f'Hostname "here"\nFQDNLookup false\nBaseDir "{self.folder}"\nPIDFile "{self.folder}/pid"\nTypesDB "{types_db}"\nInterval 1\nWriteThreads 1\n'
            f'LoadPlugin logfile\n<Plugin logfile>\n  LogLevel info\n  File "{self.log}"\n</Plugin>\n'
            f'LoadPlugin unixsock\n<Plugin unixsock>\n  SocketFile "{self.socket}"\n  SocketGroup "root"\n  DeleteSocket true\n</Plugin>\n'
            + (f'LoadPlugin csv\n<Plugin csv>\n  DataDir "{self.csv}"\n</Plugin>\n' if csv else "")
            + (f"LoadPlugin network\n<Plugin network>\n{listeners}</Plugin>\n" if listeners else "") + more)

    def start(self):
        self.log.unlink(missing_ok=True)
        self.process = Process(self.folder, "daemon", ["collectd", "-f", "-C", self.conf])
        wait_for(lambda: "entering read-loop" in self.log.read_text(), 30, what=f"{self.name} to run: {self.process.stderr}")
        return self

    def stop(self, number=15):
        if self.process and self.process.running:
            self.process.end(number, deadline=30)

    def kill(self):
        self.process.kill()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    def values(self, host, instance="*"):
        """{(instance, type, type instance): {time: value}} of a host; both as collectd wrote them, value a text."""
        found = collections.defaultdict(dict)
        for path in self.csv.glob(f"{host}/callwatch-{instance}/*"):
            type_, _, name = re.sub(r"-\d{4}-\d\d-\d\d$", "", path.name).partition("-")
            series = found[path.parent.name.removeprefix("callwatch-"), type_, name]
            for line in path.read_text().splitlines()[1:]:
                time, _, value = line.partition(",")
                if value:
                    series[float(time)] = value
        return found


# ---- what should be there ----


def plain(character):
    """Whether it stays: printable, no quote, nothing that is unseen or reorders (as far as the tests have such)."""
    code = ord(character)
    unseen = code in (0xAD, 0x200B, 0xFEFF) or 0x2028 <= code <= 0x202E
    return code >= 0x20 and not 0x7F <= code <= 0x9F and not unseen and character not in '/"\\%'


def escaped(text, dash_too=False):
    """Characters, or escapes of their bytes, one by one."""
    for character in text:
        if plain(character) and not (dash_too and character == "-"):
            yield character.encode()
        else:
            yield from (b"%%%02X" % byte for byte in character.encode())


def field(pieces):
    pieces = list(pieces)
    whole = b"".join(pieces)
    if len(whole) <= FIELD:
        return whole.decode()
    digest = 0xCBF29CE484222325
    for byte in whole:
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    kept = b""
    for piece in pieces:
        if len(kept) + len(piece) > FIELD - 17:
            break
        kept += piece
    return kept.decode() + f"~{digest:016x}"


def name_of(metric, labels, suffix=""):
    pieces = [*escaped(metric, dash_too=True), *escaped(suffix)]
    for i, label in enumerate(labels):
        pieces += [b"-", *escaped(label, dash_too=i + 1 < len(labels))]
    return field(pieces)


def quantile(bounds, buckets, q):
    rank, below = q * sum(buckets), 0
    for i, (bound, count) in enumerate(zip(bounds, buckets)):
        if count and below + count >= rank:
            start = bounds[i - 1] if i else min(0, bounds[0])
            return start + (bound - start) * (rank - below) / count
        below += count
    return bounds[-1]


def expected(sample):
    """(suffix, is a count, value) for each number that collectd gets of a sample as stdout's json tells it."""
    if sample["kind"] != "histogram":
        yield "", sample["kind"] == "counter", sample["value"]
        return
    yield "_count", True, sample["count"]
    if sum(sample["buckets"]):
        for percent in (50, 95, 99):
            yield f"_p{percent}", False, quantile(sample["bounds"], sample["buckets"], percent / 100)


def missing(sample, values, types, tolerance=0.0011):
    """What of the sample collectd has not, or has otherwise: a list of sentences. `values` as Collectd.values() of its host."""
    wrong = []
    seconds = sample["seconds"]
    for suffix, is_count, value in expected(sample):
        name = name_of(sample["metric"], sample["labels"].values(), suffix)
        series = [(type_, points) for (instance, type_, name_), points in values.items()
                  if instance == sample["instance"] and name_ == name]
        if len(series) != 1:
            wrong.append(f"{sample['instance']} {name}: {len(series)} series")
            continue
        type_, points = series[0]
        if types.get(type_) not in (("DERIVE", "GAUGE") if is_count else ("GAUGE",)):
            wrong.append(f"{name}: type {type_}")
        if types.get(type_) == "DERIVE":
            value = math.floor(value)
        if not any(abs(time - seconds) < tolerance and math.isclose(float(got), value, rel_tol=1e-9, abs_tol=1e-6)
                   for time, got in points.items()):
            wrong.append(f"{name} at {seconds}: {value} is not among {list(points.items())[-5:]}")
    return wrong
