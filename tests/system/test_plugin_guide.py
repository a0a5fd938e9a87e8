# SPDX-License-Identifier: MIT
"""docs/plugin-guide.md is followed to the letter: the example is built outside the tree, with gcc alone and the installed headers."""

import os
import re
import subprocess

import pytest

from harness import BIN, BUILD, TOP, run_once

EXAMPLE = TOP / "docs/example/example.c"


@pytest.fixture
def built(folder):
    """example.so, made as the comment at the top of example.c says, with only installed headers in reach."""
    subprocess.run(["cmake", "--install", BUILD, "--prefix", folder / "usr"], check=True, capture_output=True)
    command = re.search(r"gcc -shared .*\.c", EXAMPLE.read_text())[0].split()
    (folder / "example.c").write_text(EXAMPLE.read_text())
    done = subprocess.run([*command, "-Wall", "-Wextra", "-pedantic", "-Werror"], cwd=folder, capture_output=True, text=True,
                          env={"PATH": os.environ["PATH"], "C_INCLUDE_PATH": str(folder / "usr/include")})
    assert done.returncode == 0, done.stderr
    os.chmod(folder / "example.so", 0o755)
    return folder / "example.so"


def test_example_is_short():
    assert len(EXAMPLE.read_text().splitlines()) < 80


def test_example_needs_no_symbol_of_callwatch(built):
    undefined = subprocess.run(["nm", "-D", "--undefined-only", built], capture_output=True, text=True, check=True).stdout
    assert not re.search(r"\bcw_", undefined)


def test_example_is_described_by_callwatch_plugins(built):
    done = subprocess.run([BIN / "callwatch", "plugins", "./example.so"], cwd=built.parent, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for word in ("example (source)", "paths", "low", "filesystem_free_ratio", "filesystems", "free_ratio", "state_since"):
        assert word in done.stdout, word


def test_example_gives_samples_and_rows(built, daemon):
    plugins = (f"agent: {{ hostname: h, interval: 1s, plugin_dir: [{BUILD}/plugins, {built.parent}] }}\n"
               f"plugins:\n  - {{ plugin: example, name: disks, paths: [/, /nonexistent], low: 0% }}\n")
    done = run_once(built.parent, plugins, "--once", "--format", "graphite")
    assert done.returncode == 0, done.stderr
    assert re.search(r"^callwatch\.h\.disks\.filesystem_free_ratio\S* 0?\.\d+ \d+$", done.stdout, re.M), done.stdout
    assert "nonexistent" not in done.stdout  # not known is not 0
    daemon.start(plugins + f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n")
    [row] = daemon.rows("filesystems")
    assert daemon.table("filesystems")["complete"]
    assert row["path"] == "/" and row["state"] == "fine" and 0 < row["free_ratio"] < 1
