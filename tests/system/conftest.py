# SPDX-License-Identifier: MIT
"""Fixtures of the system tests; what they hand out is in harness.py."""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../tools"))

import harness  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "sanitize: also run against the asan build")
    config.addinivalue_line("markers", "large: run once more by `tests/run all`, with CALLWATCH_LARGE, the seconds of churn")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    setattr(item, "report_" + call.when, outcome.get_result())


@pytest.fixture
def folder(request):
    """A private folder; when the test failed it stays, and its place is told."""
    made = harness.Folder()
    yield made.path
    report = getattr(request.node, "report_call", None)
    if report is not None and report.failed and os.environ.get("KEEP"):
        print(f"kept: {made.path}")
    else:
        made.remove()


@pytest.fixture
def make_redis(folder):
    """make_redis(name, config): a started private redis-server."""
    servers = []

    def make(name="redis", config="", start=True, port=None):
        server = harness.Redis(folder, name, config, port)
        servers.append(server)
        return server.start() if start else server

    yield make
    for server in servers:
        server.stop()


@pytest.fixture
def redis(make_redis):
    return make_redis()


@pytest.fixture
def postgres():
    """A started private PostgreSQL: url, rows(select), execute(sql), restart()."""
    server = harness.Postgres()
    try:
        yield server.start()
    finally:
        server.remove()


@pytest.fixture
def make_disk(folder):
    """make_disk(path, size): a small file system at `path`, for programs that are started through its `inside`."""
    disks = []

    def make(path, size):
        disks.append(harness.Disk(folder, path, size))
        if disks[-1].refused:
            pytest.skip(f"no mount in a namespace of our own here: {disks[-1].refused}")
        return disks[-1]

    yield make
    for disk in disks:
        disk.holder.kill()


@pytest.fixture
def make_daemon(folder):
    """make_daemon(name): a callwatchd that is not started; at the end it must stop cleanly, if it still runs."""
    daemons = []

    def make(name="callwatchd"):
        daemon = harness.Daemon(folder, name)
        daemons.append(daemon)
        return daemon

    yield make
    for daemon in daemons:
        if daemon.process:
            if daemon.process.running:
                daemon.stop()
            else:
                daemon.check_clean()


@pytest.fixture
def daemon(make_daemon):
    return make_daemon()


@pytest.fixture
def client(daemon):
    """client("status"): runs callwatch against the daemon."""
    return lambda *arguments, **options: harness.run_client(daemon, *arguments, **options)


@pytest.fixture
def make_sim(folder):
    sims = []

    def make(url, *arguments):
        sim = harness.Sim(folder, url, *arguments, name=f"callsim{len(sims)}")
        sims.append(sim)
        return sim

    yield make
    for sim in sims:
        sim.stop()


@pytest.fixture
def make_tool(folder):
    """make_tool("proxy.py", …): a tool of tests/tools, started."""
    tools = []

    def make(script, *arguments):
        tool = harness.Tool(folder, script, *arguments, name=f"{script}-{len(tools)}")
        tools.append(tool)
        return tool

    yield make
    for tool in tools:
        tool.stop()


@pytest.fixture
def proxy(make_tool, redis):
    """A fault proxy in front of the test's Redis, on TCP."""
    return make_tool("proxy.py", "--to", f"unix:{redis.socket}")
