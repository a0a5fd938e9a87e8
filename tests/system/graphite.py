# SPDX-License-Identifier: MIT
"""A private carbon-cache, a carbon-c-relay in front of it, a receiver of our own that misbehaves, and what Graphite should make of samples: an
independent reading of plugins/format/format_graphite.h.
"""

import hashlib
import math
import re
import selectors
import socket
import struct
import threading
import time
import unicodedata

import whisper
from collectd import expected as points_of

from harness import TOP, Process, free_port, wait_for

PLAIN = set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-:+@#%")
NODE = 200
SNIPPETS = TOP / "packaging/graphite"
FINE = "[all]\npattern = .*\nretentions = 1s:1h\n"


def free_udp_and_tcp_port():
    """Carbon listens on both."""
    while True:
        port = free_port()
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


class Carbon:
    """carbon-cache, which writes whisper files at once. `snippets`: with the retentions and aggregations of packaging/graphite, else 1 s."""

    def __init__(self, folder, name="carbon", snippets=False):
        self.name, self.folder = name, folder / name
        self.data, conf = self.folder / "whisper", self.folder / "conf"
        conf.mkdir(parents=True)
        self.port = free_udp_and_tcp_port()
        self.process = None
        (conf / "carbon.conf").write_text(
            f"[cache]\nSTORAGE_DIR = {self.folder}\nCONF_DIR = {conf}\nLOG_DIR = {self.folder}/log\nPID_DIR = {self.folder}\n"
            f"LOCAL_DATA_DIR = {self.data}\nUSER =\nLINE_RECEIVER_INTERFACE = 127.0.0.1\nLINE_RECEIVER_PORT = {self.port}\n"
            f"ENABLE_UDP_LISTENER = True\nUDP_RECEIVER_INTERFACE = 127.0.0.1\nUDP_RECEIVER_PORT = {self.port}\n"
            "PICKLE_RECEIVER_INTERFACE = 127.0.0.1\nPICKLE_RECEIVER_PORT = 0\nCACHE_QUERY_INTERFACE = 127.0.0.1\nCACHE_QUERY_PORT = 0\n"
            "MAX_CREATES_PER_MINUTE = inf\nMAX_UPDATES_PER_SECOND = inf\nENABLE_TAGS = False\nCARBON_METRIC_INTERVAL = 0\n")
        for file in ("storage-schemas.conf", "storage-aggregation.conf"):
            (conf / file).write_text((SNIPPETS / file).read_text() if snippets else FINE if "schemas" in file else "")
        self.argv = ["/usr/bin/python3", "/usr/bin/carbon-cache", f"--config={conf}/carbon.conf", "--nodaemon", f"--pidfile={self.folder}/pid", "start"]

    def start(self):
        (self.folder / "pid").unlink(missing_ok=True)
        self.process = Process(self.folder, "daemon", self.argv, env={"LC_ALL": "C.UTF-8", "PYTHONWARNINGS": "ignore"})
        try:
            wait_for(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True, 30, what="carbon-cache to listen")
        except AssertionError as e:
            raise AssertionError(f"{e}\n{self.process.stdout[-2000:]}{self.process.stderr[-2000:]}") from None
        return self

    def kill(self):
        if self.process:
            self.process.kill()

    def freeze(self):
        self.process.freeze()

    def thaw(self):
        self.process.thaw()

    @property
    def said(self):
        """What it logged about lines it could not read, and its troubles."""
        return "".join(path.read_text() for path in self.folder.glob("log/**/listener.log")) + self.process.stdout

    def file(self, name):
        """Where it keeps a series; tagged ones by the hash of the name with its tags in order."""
        if ";" not in name:
            return self.data / (name.replace(".", "/") + ".wsp")
        metric, *tags = name.split(";")
        digest = hashlib.sha256((metric + "".join(sorted(f";{tag}" for tag in tags))).encode()).hexdigest()
        return self.data / "_tagged" / digest[:3] / digest[3:6] / f"{digest}.wsp"

    def points(self, name):
        """{second: value} of the last hour."""
        now = int(time.time())
        (begin, _, step), values = whisper.fetch(str(self.file(name)), now - 3500, now + 5, now=now + 5)
        return {begin + i * step: value for i, value in enumerate(values) if value is not None}

    def names(self, prefix):
        """All paths that begin with that, which has no dot."""
        return {".".join(path.relative_to(self.data).with_suffix("").parts) for path in (self.data / prefix).glob("**/*.wsp")}


class Relay:
    """carbon-c-relay, that sends all on."""

    def __init__(self, folder, port):
        self.folder = folder / "relay"
        self.folder.mkdir()
        self.port = free_port()
        conf = self.folder / "conf"
        conf.write_text(f"listen type linemode 127.0.0.1:{self.port} proto tcp ;\n"
                        f"cluster carbon forward 127.0.0.1:{port} proto tcp ;\nmatch * send to carbon stop ;\n")
        self.process = Process(self.folder, "daemon", ["carbon-c-relay", "-f", conf, "-c", "_-:+@#%"])
        try:
            wait_for(lambda: socket.create_connection(("127.0.0.1", self.port), 1).close() or True, 20, what="carbon-c-relay to listen")
        except AssertionError:
            self.kill()
            raise

    def kill(self):
        self.process.kill()


class Receiver:
    """Takes connections on any number of ports, or the one it is told, in a thread of its own. What it does with the n-th connection of a port is up to `treat`, called
    before it reads: the number of bytes it may read now, 0 for none (it hangs), or None to reset the connection.
    """

    def __init__(self, ports=1, treat=lambda port, number, read: 65536, at=0):
        self.treat, self.streams = treat, {}  # (port index, connection number): bytes
        self.lock = threading.Lock()
        self.selector = selectors.DefaultSelector()
        self.listeners = [socket.create_server(("127.0.0.1", at)) for _ in range(ports)]
        self.ports = [listener.getsockname()[1] for listener in self.listeners]
        for index, listener in enumerate(self.listeners):
            listener.setblocking(False)
            self.selector.register(listener, selectors.EVENT_READ, (index, None))
        self.running = True
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def _run(self):
        while self.running:
            ready = self.selector.select(0.05)
            slept = 0
            for key, _ in ready:
                index, number = key.data
                if number is None:
                    self._accept(key.fileobj, index)
                else:
                    slept = max(slept, self._read(key.fileobj, index, number))
            time.sleep(slept)

    def _accept(self, listener, index):
        peer, _ = listener.accept()
        peer.setblocking(False)
        with self.lock:
            number = sum(1 for i, _ in self.streams if i == index)
            self.streams[index, number] = b""
        self.selector.register(peer, selectors.EVENT_READ, (index, number))

    def _read(self, peer, index, number):
        """Seconds to rest, where it hangs."""
        may = self.treat(index, number, len(self.streams[index, number]))
        if may == 0:
            return 0.01
        try:
            data = peer.recv(may) if may else b""
        except ConnectionError:
            data = b""
        with self.lock:
            self.streams[index, number] += data
        if may is None:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        if not data:
            self.selector.unregister(peer)
            peer.close()
        return 0

    def connections(self, index=0):
        """The bytes of each connection to a port."""
        with self.lock:
            return [data for (i, _), data in sorted(self.streams.items()) if i == index]

    def lines(self, index=0):
        """All whole lines, with those that came twice."""
        return [line for data in self.connections(index) for line in data.decode().split("\n")[:-1]]

    def close(self):
        self.running = False
        self.thread.join()
        for key in list(self.selector.get_map().values()):
            key.fileobj.close()
        self.selector.close()


# ---- what should be there ----


def node(text, also=""):
    kept = []
    for character in text:
        if ord(character) < 128:
            kept.append(character if character in PLAIN or character in also else "_")
        elif character.isspace() or unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp"):
            kept.append("_" * len(character.encode()))
        else:
            kept.append(character)
    kept = "".join(kept) or "_"
    if len(kept.encode()) <= NODE:
        return kept
    digest = 0xCBF29CE484222325
    for byte in text.encode():
        digest = (digest ^ byte) * 0x100000001B3 % 2**64
    return kept.encode()[:NODE - 17].decode(errors="ignore") + f"_{digest:016x}"


def path_of(sample, suffix="", prefix="callwatch"):
    return ".".join([prefix, node(sample["host"]), sample["instance"], sample["metric"] + suffix, *map(node, sample["labels"].values())])


def tagged_name_of(sample, suffix="", prefix="callwatch"):
    tags = {"host": sample["host"], "plugin_instance": sample["instance"], **sample["tags"], **sample["labels"]}
    return ";".join([f"{prefix}.{sample['metric']}{suffix}", *(f"{name}={node(value, '.')}" for name, value in tags.items())])


def values_of(sample):
    """(suffix, is a counter, value) of each line of a sample as stdout's json tells it."""
    yield from points_of(sample)
    if sample["kind"] == "histogram":
        yield "_sum", True, sample["sum"]


def last_of_each_second(samples):
    """Graphite keeps the last sample of a series in a second."""
    last = {}
    for sample in samples:
        last[sample["instance"], sample["metric"], *sample["labels"].values(), int(sample["seconds"])] = sample
    return list(last.values())


def missing(carbon, samples, name_of, in_order=True):
    """What carbon has not of these samples, or has otherwise: a list of sentences. carbon-c-relay may turn round what comes within a second."""
    wrong, cache, said = [], {}, {}
    for sample in samples:
        for suffix, _, value in values_of(sample):
            said.setdefault((name_of(sample, suffix), int(sample["seconds"])), []).append(value)
    for sample in last_of_each_second(samples):
        for suffix, _, value in values_of(sample):
            name = name_of(sample, suffix)
            if name not in cache:
                cache[name] = carbon.points(name) if carbon.file(name).exists() else {}
            got = cache[name].get(int(sample["seconds"]))
            allowed = [value] if in_order else said[name, int(sample["seconds"])]
            if got is None or not any(math.isclose(got, one, rel_tol=1e-12, abs_tol=1e-12) for one in allowed):
                wrong.append(f"{name} at {int(sample['seconds'])}: {got} instead of {value}")
    return wrong


LINE = re.compile(r"(\S+) (-?[0-9.e+-]+) (\d{10})")
