# SPDX-License-Identifier: MIT
"""The man pages: they format without a warning, and name every command, every option of both programs, and every key of the configuration."""

import re
import subprocess

import pytest

from harness import BIN, TOP

PAGES = sorted((TOP / "packaging/man").iterdir())


def text_of(page):
    done = subprocess.run(["mandoc", "-Tutf8", "-O", "width=200", TOP / "packaging/man" / page], capture_output=True, text=True, check=True)
    return re.sub(r".\x08", "", done.stdout)


def help_of(program, *words):
    return subprocess.run([BIN / program, *words, "--help"], capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_page_is_without_a_warning(page):
    linted = subprocess.run(["mandoc", "-Tlint", "-W", "warning", page], capture_output=True, text=True)
    assert linted.returncode == 0 and not linted.stdout, linted.stdout
    shown = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", page], capture_output=True, text=True, env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"})
    assert shown.returncode == 0 and not shown.stderr, shown.stderr


def test_there_is_a_page_for_each_program_and_for_the_configuration():
    assert [page.name for page in PAGES] == ["callwatch.1", "callwatch.yaml.5", "callwatchd.8"]


def test_every_command_of_the_client_and_its_options_are_in_its_page():
    text = text_of("callwatch.1")
    shown = help_of("callwatch")
    commands = re.findall(r"^  ([a-z]+) ", shown.split("Commands\n")[1].split("\n\n")[0], re.M)
    assert len(commands) >= 10
    for command in commands:
        assert re.search(rf"^     {command}\b", text, re.M), command
        for option in re.findall(r"^  (--[a-z-]+)", help_of("callwatch", command), re.M):
            assert re.search(rf"(?<![\w-]){option}\b", text), f"{command} {option}"


def test_every_option_of_the_daemon_is_in_its_page():
    text = text_of("callwatchd.8")
    options = re.findall(r"^ +(?:(-\w), )?(--[a-z-]+|-\w)", help_of("callwatchd"), re.M)
    assert len(options) >= 10
    for option in [o for pair in options for o in pair if o]:
        assert re.search(rf"(?<![\w-]){option}\b", text), option


def test_every_key_of_the_core_is_in_the_page_of_the_configuration():
    text = text_of("callwatch.yaml.5")
    source = (TOP / "core/agent/plan.c").read_text() + (TOP / "core/alerts/rule_options.c").read_text()
    keys = re.findall(r'\.key = "(\w+)"', source)
    sections = re.search(r"sections\[\] = \{(.*?)\}", (TOP / "core/config/config.c").read_text())[1]
    assert len(keys) >= 50
    for key in keys + re.findall(r'"(\w+)"', sections):
        assert re.search(rf"^(?: {{5}}| {{13}})(?:\w+, )*{key}\b", text, re.M), key
