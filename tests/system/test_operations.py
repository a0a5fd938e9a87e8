# SPDX-License-Identifier: MIT
"""What an operator is given beside the programs does what it says: the whole configuration, the places that documents name."""

import re

import pytest
import yaml
from collectd import Collectd
from graphite import Carbon

from harness import BUILD, TOP, run_once, wait_for

WHOLE = TOP / "packaging/callwatch.yaml"
VENDOR = TOP / "conf.d"


def uncommented(text):
    return re.sub(r"^( *)# ", r"\1", text, flags=re.M)


@pytest.mark.parametrize("change", [str, uncommented], ids=["as it is", "uncommented"])
def test_the_whole_configuration_is_right_beside_the_vendors(folder, change):
    plugin_dir = f"  plugin_dir: [{BUILD}/plugins]\n  state_dir:"
    done = run_once(folder, change(WHOLE.read_text()).replace("  state_dir:", plugin_dir), "-t", "-c", VENDOR)
    assert done.returncode == 0 and "configuration ok: " in done.stdout, done.stderr


def test_the_whole_configuration_has_every_output():
    """Not only commented out."""
    outputs = {path.parent.name for path in TOP.glob("plugins/*/*.c") if re.search(r"\.role = CW_OUTPUT\b", path.read_text())}
    assert {"collectd", "graphite", "stdout"} <= outputs
    assert outputs <= {entry["plugin"] for entry in yaml.safe_load(WHOLE.read_text())["plugins"]}


def test_the_whole_configuration_works_as_it_is(folder, redis, make_sim, daemon):
    """With nothing changed but where the servers are: calls arrive in a real collectd and a real carbon, and in /metrics."""
    collectd, carbon = Collectd(folder), Carbon(folder)
    collectd.start()
    carbon.start()
    try:
        make_sim(redis.url, "--calls", 7, "--beat", "1s")
        text = WHOLE.read_text()
        for there, here in (("redis://localhost:6379/0", redis.url), ("/run/collectd-unixsock", str(collectd.socket)),
                            ("localhost:2003", f"127.0.0.1:{carbon.port}"), ("interval: 5s", f"interval: 1s\n  hostname: host\n  plugin_dir: [{BUILD}/plugins]"),
                            ("/var/lib/callwatch", f"{daemon.folder}/state"), ("plugins:\n", f"plugins:\n  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")):
            assert text.count(there) >= 1, there
            text = text.replace(there, here)
        daemon.start(text)
        for name in ("calls", "collectd", "graphite", "web"):
            daemon.wait_state("up", name=name, deadline=30)
        assert "stdout" not in {row["instance"] for row in daemon.rows("instances")}, "switched off"
        wait_for(lambda: (carbon.data / "callwatch/host/calls/calls_active/healthy.wsp").exists(), 40, what="calls in carbon")
        wait_for(lambda: any("calls_active" in str(name) for name in collectd.values("host", "calls")), 40, what="calls in collectd")
        assert b'env="production"' in daemon.request("GET", "/metrics")[1]
    finally:
        collectd.stop()
        carbon.kill()


def test_the_pages_that_operations_md_names_are_in_the_package():
    rules = (TOP / "packaging/package.cmake").read_text()
    text = (TOP / "docs/operations.md").read_text()
    for plugin in re.findall(r"\.\./plugins/([\w-]+)/README\.md", text):
        assert (TOP / "plugins" / plugin / "README.md").exists(), plugin
    assert "/usr/share/doc/callwatch/plugins/NAME.md" in text and "plugins/*/README.md" in rules
    for name in re.findall(r"/usr/share/callwatch/(\w+)", text):
        assert (TOP / "packaging" / name).is_dir(), name


def test_every_secret_that_documents_name_is_loaded_by_the_unit():
    """Where a document says `X_file: callwatch.NAME`, who copies it finds it in the service's credentials."""
    loaded = set(re.findall(r"^LoadCredential=(\S+)$", (TOP / "packaging/systemd/callwatch.service").read_text(), re.M))
    for path in [*TOP.glob("plugins/*/README.md"), *TOP.glob("plugins/*/sample.yaml"), TOP / "README.md", TOP / "docs/operations.md", WHOLE,
                 *TOP.glob("packaging/debian/*.yaml")]:
        for name in re.findall(r"_file: (callwatch\.[\w.-]+)", path.read_text()):
            assert name in loaded, f"{path}: {name}"


def test_the_service_is_called_by_its_own_name():
    """journalctl does not know aliases."""
    pieces = []
    for path in [*TOP.glob("core/**/*.c"), *TOP.glob("plugins/**/*.c"), *TOP.glob("docs/*.md"), *TOP.glob("packaging/**/*.yaml"), TOP / "README.md"]:
        text = re.sub(r'"\s*"', "", path.read_text())
        pieces += re.findall(r"(?:systemctl (?:start|stop|status|restart|reload|edit)|journalctl -u) ([\w.-]+)", text)
    assert len(pieces) > 8 and {piece.rstrip(".") for piece in pieces} - {"collectd", "redis-server"} == {"callwatch"}
