# SPDX-License-Identifier: MIT
"""The Debian packages: what is in them, how the service is caged, and their whole life in a fresh Debian made by debootstrap."""

import fcntl
import os
import re
import shutil
import stat
import subprocess
import time
from pathlib import Path

import pytest

from harness import BUILD, TOP, Process, config, wait_for

pytestmark = pytest.mark.timeout(600)  # packages are made, once, for all workers; then debootstrap and apt

PACKAGES = TOP / "build/package"
UNIT = TOP / "packaging/systemd/callwatch.service"


def command(*argv, **options):
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, errors="replace", **options)
    assert done.returncode == 0, f"{argv}: {done.returncode}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def packages():
    """{package: its .deb}, made once for all workers."""
    PACKAGES.mkdir(parents=True, exist_ok=True)
    with open(PACKAGES / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        launcher = {"CMAKE_C_COMPILER_LAUNCHER": "ccache"} if shutil.which("ccache") else {}
        command("cmake", "--workflow", "--preset", "package", cwd=TOP, env={**os.environ, **launcher})
    return {path.name.split("_")[0]: path for path in PACKAGES.glob("*.deb")}


def unit():
    """The unit's settings: {key: [values]}."""
    found = {}
    for line in UNIT.read_text().splitlines():
        if re.match(r"\w+=", line):
            key, value = line.split("=", 1)
            found.setdefault(key, []).append(value)
    return found


# ---- what is in them ----


def test_lintian_finds_no_error(packages):
    done = subprocess.run(["lintian", "--allow-root", "--fail-on", "error", *packages.values()], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_nothing_is_privileged_and_programs_are_hardened(packages, folder):
    command("dpkg", "-x", packages["callwatch"], folder)
    binaries = [p for p in folder.rglob("*") if p.is_file() and p.read_bytes()[:4] == b"\x7fELF"]
    assert len(binaries) >= 5
    for path in folder.rglob("*"):
        assert not path.lstat().st_mode & 0o6022 or path.is_symlink(), f"{path}: setuid, setgid or writable by others"
    for path in binaries:
        headers, dynamic = command("readelf", "-hlW", path), command("readelf", "-dW", path)
        assert "DYN (" in headers, f"{path}: not position independent"
        assert "GNU_RELRO" in headers and re.search(r"BIND_NOW|\bNOW\b", dynamic), f"{path}: no full RELRO"
        assert re.search(r"GNU_STACK.* RW ", headers), f"{path}: executable stack"
        assert "RPATH" not in dynamic and "RUNPATH" not in dynamic, path
        assert "getcap" not in path.name and "security.capability" not in os.listxattr(path), path
        symbols = command("nm", "-D", path)
        assert re.search(r"__\w+_chk@", symbols), f"{path}: not fortified"
    flags = (PACKAGES / "compile_commands.json").read_text()
    assert "-D_FORTIFY_SOURCE=3" in flags and "-fstack-protector-strong" in flags


def test_the_service_is_caged():
    done = subprocess.run(["systemd-analyze", "security", "--offline=true", "--no-pager", "--threshold=15", UNIT], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_unit_is_valid_and_says_how_it_ends():
    settings = unit()
    assert settings["Type"] == ["notify"] and settings["ExecReload"] == ["/usr/bin/callwatch reload"]
    assert settings["Restart"] == ["on-failure"] and settings["RestartPreventExitStatus"] == ["78"]
    assert all(re.fullmatch(r"callwatch\.[a-z-]+", name) for name in settings["LoadCredential"]), "bare ones: those that are not there are left out"


def system_calls(group):
    """Those of a group of systemd's, and of the groups in it."""
    for line in command("systemd-analyze", "syscall-filter", "--no-pager", group).splitlines()[1:]:
        word = line.strip()
        if word.startswith("@"):
            yield from system_calls(word)
        elif word and not word.startswith("#"):
            yield word


def test_the_filter_of_system_calls_lets_through_what_is_called(folder, redis, make_sim, daemon, client):
    """All that a life with calls, a reload and questions calls, by strace, is in the filter."""
    make_sim(redis.url, "--calls", 50, "--beat", "1s")
    trace = folder / "strace"
    daemon.start(config(daemon, redis.url), wrapper=["strace", "-D", "-f", "-qq", "-e", "signal=none", "-o", trace])
    daemon.wait_total(50)
    assert client("reload").returncode == 0
    assert client("status").returncode in (0, 1)
    daemon.stop()
    called = set(re.findall(r"^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed)", trace.read_text(errors="replace"), re.M))
    assert {"connect", "accept4", "timerfd_create", "epoll_wait", "epoll_pwait"} & called
    allowed = set(system_calls("@system-service")) - set(system_calls("@privileged")) - set(system_calls("@resources"))
    if os.geteuid() == 0:
        called -= {"fchown"}  # SQLite gives its files their owner, if it is root; the service is not
    assert called <= allowed, sorted(called - allowed)


# ---- their life ----


class Root:
    """A Debian in a folder. What runs in it has mounts of its own."""

    def __init__(self, path):
        self.path = path

    def argv(self, *argv):
        return ["unshare", "--mount", "--mount-proc", f"--root={self.path}", *map(str, argv)]

    def run(self, *argv, **options):
        environment = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
        return command(*self.argv(*argv), env=environment, **options)

    def start(self, folder, name, *argv, env=None):
        """A service, with a loopback of its own: the port of the vendor's configuration may be taken outside."""
        alone = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
        return Process(folder, name, [*alone, *self.argv(*argv)], env={"LC_ALL": "C.UTF-8", **(env or {})})

    def __truediv__(self, inner):
        return self.path / inner.lstrip("/")


def mirror():
    """Where this machine's own packages come from."""
    for path in [Path("/etc/apt/sources.list"), *Path("/etc/apt/sources.list.d").glob("*")]:
        if path.is_file():
            for line in path.read_text().splitlines():
                if found := re.match(r"(?:deb (?:\[.*?\] )?|URIs: *)(\S+/debian)/?(?:\s|$)", line):
                    return found[1]
    pytest.fail("no Debian mirror is configured")


@pytest.fixture
def root(tmp_path):
    if os.geteuid() != 0:
        pytest.skip("debootstrap needs root")
    path = tmp_path / "debian"
    cache = TOP / "build/debootstrap-cache"
    cache.mkdir(parents=True, exist_ok=True)
    command("debootstrap", "--variant=minbase", f"--cache-dir={cache}", "bookworm", path, mirror())
    shutil.copy("/etc/resolv.conf", path / "etc/resolv.conf")
    made = Root(path)
    made.run("apt-get", "-q", "update")
    yield made
    shutil.rmtree(path, ignore_errors=True)


def newer(deb, folder, root):
    """The same package as version 9, with another vendor configuration and another file in /etc."""
    tree = folder / "newer"
    command("dpkg-deb", "-R", deb, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", "Version: 9.0.0", control.read_text(), flags=re.M))
    for inner in ("usr/lib/callwatch/conf.d/10-web.yaml", "etc/callwatch/conf.d/50-callwatch.yaml"):
        with open(tree / inner, "a") as file:
            file.write("## version 9\n")
    (tree / "DEBIAN/md5sums").unlink()
    command("dpkg-deb", "--root-owner-group", "-b", tree, root / "callwatch-9.deb")
    return "/callwatch-9.deb"


COLLECTD = """\
Hostname "host"
FQDNLookup false
BaseDir "/tmp"
PIDFile "/tmp/collectd.pid"
TypesDB "/usr/share/collectd/types.db"
Interval 1
LoadPlugin csv
<Plugin csv>
  DataDir "/tmp/csv"
</Plugin>
"""

OPERATIONS = (TOP / "docs/operations.md").read_text()
CONFIGURATION = re.search(r"^```yaml\n(.*?)^```", OPERATIONS, re.M | re.S)[1]
for there, here in (("agent: { ", "agent: { hostname: host, interval: 1s, "), ("redis://localhost:6379/0", "unix:///run/redis.sock"),
                    ("/run/collectd-unixsock }", "/run/collectd.sock, interval: 1s }")):
    assert CONFIGURATION.count(there) == 1, there
    CONFIGURATION = CONFIGURATION.replace(there, here)


def told_to_type(begin):
    """A command of operations.md, from zero to a graph."""
    return re.search(rf"^    ({re.escape(begin)}.*)$", OPERATIONS, re.M)[1].replace("PASSWORD", "secret")


def start_service(root, folder, name):
    """callwatchd as the unit says, without a service manager: user, directories, credentials, command line."""
    settings = unit()
    for base, key in (("run", "RuntimeDirectory"), ("var/lib", "StateDirectory")):
        mode = settings[key + "Mode"][0]
        root.run("install", "-d", "-o", "callwatch", "-g", "callwatch", "-m", mode, f"/{base}/{settings[key][0]}")
    root.run("install", "-d", "-o", "callwatch", "-m", "0500", "/run/credentials/callwatch.service")
    for name_of in settings["LoadCredential"]:
        if (root / f"etc/credstore/{name_of}").exists():
            root.run("install", "-o", "callwatch", "-m", "0400", f"/etc/credstore/{name_of}", f"/run/credentials/callwatch.service/{name_of}")
    argv = ["setpriv", "--reuid", settings["User"][0], "--regid", settings["Group"][0], "--init-groups", "--no-new-privs",
            "--bounding-set=-all", "--inh-caps=-all", *settings["ExecStart"][0].split()]
    return root.start(folder, name, *argv, env={"CREDENTIALS_DIRECTORY": "/run/credentials/callwatch.service"})


def set_up_peers(root, folder):
    """Redis with a user that has the rights `callwatch plugins redis-calls` names, and collectd with our snippet."""
    line = re.search(r"ACL SETUSER .*", root.run("callwatch", "plugins", "redis-calls"))[0]
    line = re.sub(r">\S+", ">secret", line)
    assert ">secret" in line, line
    redis = root.start(folder, "redis", "redis-server", "--port", "0", "--unixsocket", "/run/redis.sock", "--unixsocketperm", "777", "--save", "")
    wait_for(lambda: "PONG" in root.run("redis-cli", "-s", "/run/redis.sock", "PING"))
    root.run("redis-cli", "-s", "/run/redis.sock", *line.replace('"', "").split())
    for i in range(3):
        root.run("redis-cli", "-s", "/run/redis.sock", "HSET", f"call_ctx:CA{i}", "business_id", "b", "from_phone_number", "+14155550132",
                 "to_phone_number", "+14155550100", "start_time", "2026-01-01T00:00:00Z")
        root.run("redis-cli", "-s", "/run/redis.sock", "SET", f"call_heartbeat:CA{i}", f"{time.time():.3f}")
    snippet = (root / "usr/share/callwatch/collectd/callwatch.conf").read_text()
    (root / "collectd.conf").write_text(COLLECTD + re.sub(r'SocketFile ".*"', 'SocketFile "/run/collectd.sock"', snippet))
    collectd = root.start(folder, "collectd", "collectd", "-f", "-C", "/collectd.conf")
    wait_for(lambda: (root / "run/collectd.sock").exists())
    return [redis, collectd]


def collected(root):
    """The sum of calls_active as collectd's csv has it now."""
    last = {}
    for path in (root / "tmp/csv").rglob("*calls_active-*"):
        state = path.name.split("calls_active-")[1].split("-20")[0]
        last[state] = float(path.read_text().strip().split("\n")[-1].split(",")[1])
    return sum(last.values()) if len(last) == 3 else None


def what_is_asked_of_systemd(root, *argv):
    """What the command has systemctl do, where a systemd seems to run that has the service enabled and not active."""
    (root / "run/systemd/system").mkdir(parents=True)
    pretender = root / "usr/sbin/systemctl"
    pretender.write_text('#!/bin/sh\necho "$*" >>/asked\ncase "$*" in *is-enabled*) echo enabled ;; *is-active*) exit 3 ;; esac\n')
    pretender.chmod(0o755)
    try:
        root.run(*argv)
        return (root / "asked").read_text()
    finally:
        pretender.unlink()
        shutil.rmtree(root / "run/systemd")


def test_package_lives_in_a_fresh_debian(packages, root, folder, tmp_path):
    for deb in packages.values():
        shutil.copy(deb, root / "/")
    debs = [f"/{deb.name}" for deb in packages.values()]
    root.run("apt-get", "-q", "-y", "--no-install-recommends", "install", *debs, "redis-server", "redis-tools", "collectd-core")
    assert "callwatch" in root.run("getent", "passwd", "callwatch") and "callwatch" in root.run("getent", "group", "callwatch")
    assert "configuration ok" in root.run("callwatchd", "-t")
    assert "redis-calls" in root.run("callwatch", "plugins")

    (root / "etc/callwatch/conf.d/50-callwatch.yaml").write_text(CONFIGURATION)
    assert stat.S_IMODE((root / "etc/credstore").stat().st_mode) == 0o700, "Debian's systemd does not make it"
    assert root.run("stat", "-c", "%a %U:%G", "/etc/callwatch/conf.d") == "750 root:callwatch\n", "there may be hashes of passwords"
    pages = (root / "usr/share/doc/callwatch/plugins").glob("*.md")
    assert {page.stem for page in pages} == {path.parent.name for path in TOP.glob("plugins/*/plugin.cmake")}, "operations.md sends people there"

    root.run("bash", "-c", told_to_type("install -m 600"))
    assert (root / "etc/credstore/callwatch.redis").read_text() == "secret\n"
    processes = set_up_peers(root, folder)
    service = start_service(root, folder, "callwatchd")
    try:
        wait_for(lambda: collected(root) == 3, 30, what=f"3 calls in collectd's csv: {service.stderr}")
        wait_for(lambda: "● healthy" in root.run("callwatch", "status"), 20)
        assert root.run("setpriv", "--reuid", "nobody", "--regid", "callwatch", "--clear-groups", "callwatch", "calls", "--format", "csv").count("CA") == 3
        (root / "var/lib/callwatch/kept").write_text("state")

        root.run("apt-get", "-q", "-y", "-o", "Dpkg::Options::=--force-confold", "install", newer(packages["callwatch"], tmp_path, root))
        assert (root / "etc/callwatch/conf.d/50-callwatch.yaml").read_text() == CONFIGURATION, "what was changed stays"
        assert "version 9" in (root / "usr/lib/callwatch/conf.d/10-web.yaml").read_text(), "what is the vendor's is replaced"
        assert (root / "var/lib/callwatch/kept").exists()
        assert service.end() == 0, service.stderr
        service = start_service(root, folder, "callwatchd-9")
        wait_for(lambda: "CA0" in root.run("callwatch", "calls"), 20)
        assert service.end() == 0, service.stderr
    finally:
        for process in [service, *processes]:
            process.kill()

    root.run("apt-get", "-q", "-y", "remove", "callwatch")
    assert not (root / "usr/sbin/callwatchd").exists()
    assert (root / "etc/callwatch/conf.d/50-callwatch.yaml").exists() and (root / "var/lib/callwatch/kept").exists()
    asked = what_is_asked_of_systemd(root, "apt-get", "-q", "-y", "install", "/callwatch-9.deb")
    assert re.search(r"(^| )restart callwatch\.service$", asked, re.M), f"it runs again: {asked}"
    root.run("apt-get", "-q", "-y", "purge", "callwatch")
    assert not (root / "etc/callwatch").exists() and not (root / "var/lib/callwatch").exists()
    assert "callwatch" not in "".join(p.name for p in (root / "usr/lib").iterdir())


def test_a_plugin_is_built_with_the_dev_package(packages, folder):
    command("dpkg", "-x", packages["callwatch-dev"], folder)
    prefix = folder / "usr"
    (folder / "CMakeLists.txt").write_text(
        "cmake_minimum_required(VERSION 3.18)\nproject(disks C)\nset(CMAKE_C_STANDARD 11)\nfind_package(callwatch REQUIRED)\n"
        f"add_library(example MODULE {prefix}/share/doc/callwatch-dev/example/example.c)\n"
        "target_link_libraries(example PRIVATE callwatch::plugin)\nset_target_properties(example PROPERTIES PREFIX \"\")\n")
    command("cmake", "-S", folder, "-B", folder / "b", f"-DCMAKE_PREFIX_PATH={prefix}")
    command("cmake", "--build", folder / "b")
    (folder / "b/example.so").chmod(0o755)
    assert "example (source)" in command(BUILD / "bin/callwatch", "plugins", folder / "b/example.so")
    flags = command("pkg-config", "--define-prefix", "--cflags", "--variable=plugindir", "callwatch",
                    env={**os.environ, "PKG_CONFIG_PATH": str(prefix / "share/pkgconfig")})
    assert "lib/callwatch" in flags
