# SPDX-License-Identifier: MIT
"""bash completion: the script is sourced in a bash and asked as a person would by Tab; it is held against the help of the commands."""

import re
import subprocess

import pytest

from harness import BIN, BUILD, SLOWER, TOP

SCRIPT = TOP / "packaging/completion/callwatch.bash"
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1))
_callwatch
printf '%s\\n' "${COMPREPLY[@]}"
"""


def complete(*words, cwd=None):
    """The candidates for the last word; `words` as bash parts them, without the program's name."""
    done = subprocess.run(["bash", "--norc", "-c", ASK, "bash", str(SCRIPT), str(BIN / "callwatch"), *map(str, words)], capture_output=True, text=True,
                          timeout=30 * SLOWER, cwd=cwd)
    assert done.returncode == 0 and not done.stderr, done.stderr
    return done.stdout.split()


def help_of(*words):
    return subprocess.run([BIN / "callwatch", *words, "--help"], capture_output=True, text=True, check=True).stdout


def commands():
    return re.findall(r"^  ([a-z]+) ", help_of().split("Commands\n")[1].split("\n\n")[0], re.M)


@pytest.fixture
def running(daemon):
    daemon.start(f"agent:\n  interval: 1s\n  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n  - {{ plugin: steady, name: first }}\n"
                 f"  - {{ plugin: steady, name: second }}\n  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")
    return daemon


def test_every_command_and_every_option_of_the_help_is_offered():
    assert len(commands()) >= 10
    assert set(complete("--socket", "/none", "")) == {*commands(), "help"}
    assert complete("--socket", "/none", "pl") == ["plugins"]
    assert set(complete("help", "")) == {*commands(), "help"}
    for command in commands():
        listed = set(re.findall(r"^  (--[a-z-]+)", help_of(command), re.M))
        assert listed and set(complete(command, "--")) == listed, command


def test_names_come_from_the_daemon(running):
    at = ["--socket", running.socket]
    assert {"instances", "events", "steps", "get"} <= set(complete(*at, ""))
    assert {"instances", "events", "steps", "alerts", "silences", "notifications", "rules"} == set(complete(*at, "get", ""))
    assert complete(*at, "describe", "st") == ["steps"]
    assert set(complete(*at, "doctor", "")) == {"first", "second", "web"}
    assert complete(*at, "doctor", "se") == ["second"]
    assert complete(*at, "get", "steps", "--instance", "f") == ["first"]
    assert set(complete(*at, "steps", "--sort", "-s")) == {"-step", "-state", "-state_since", "-seen_age_seconds"}
    assert complete(*at, "get", "steps", "--columns", "step,state_") == ["step,state_since"]
    assert complete(*at, "steps", "--where", "seen") == ["seen_age_seconds="]
    assert complete(*at, "events", "--where", "ki") == ["kind="]
    assert complete(*at, "get", "steps", "a") == [], "what keys are like nobody knows"


def test_values_of_options_and_choices():
    assert complete("get", "--format", "") == ["table", "json", "ndjson", "csv"]
    assert complete("doctor", "--format", "=", "j") == ["json"]  # as bash parts --format=j
    assert complete("doctor", "--format", "=") == ["table", "json"]
    assert complete("config", "") == ["show", "diff"]
    assert complete("token", "") == ["add"]
    assert complete("token", "add", "--role", "o") == ["operator"]


def test_plugins_and_files(folder):
    (folder / "conf.yaml").write_text(f"agent: {{ plugin_dir: [{BUILD}/plugins] }}\n")
    assert {"redis-calls", "web", "stdout"} <= set(complete("plugins", "-c", folder / "conf.yaml", ""))
    assert complete("config", "show", "-c", "conf", cwd=folder) == ["conf.yaml"]
    assert complete("plugins", "./co", cwd=folder) == ["./conf.yaml"]


def test_a_daemon_that_hangs_costs_a_moment_and_the_rest_is_offered(running):
    running.process.freeze()
    try:
        assert set(complete("--socket", running.socket, "")) == {*commands(), "help"}
        assert complete("--socket", running.socket, "doctor", "") == []
    finally:
        running.process.thaw()


def test_what_the_daemon_says_is_no_command_for_the_shell(folder):
    """Names come from a socket: what a shell would take for more than a word is left out."""
    script = folder / "callwatch"
    script.write_text("#!/bin/sh\nprintf '%s\\n' 'good' '$(touch owned)' '`touch owned`'\n")
    script.chmod(0o755)
    done = subprocess.run(["bash", "--norc", "-c", ASK, "bash", str(SCRIPT), str(script), ""], capture_output=True, text=True, cwd=folder)
    assert done.stdout.splitlines()[0] == "good"
    assert not (folder / "owned").exists(), "candidates are data, never evaluated"


def test_actions_and_their_arguments_come_from_the_daemon(daemon):
    daemon.start(f"agent:\n  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\nplugins:\n  - {{ plugin: worker, name: work }}\n"
                 f"  - {{ plugin: steady, name: first }}\n  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n")
    at = ["--socket", daemon.socket, "trigger"]
    assert complete(*at, "") == ["work"]
    assert complete(*at, "work", "") == ["finish", "run", "misbehave"]
    assert complete(*at, "work", "finish", "") == ["rate=", "fail_each=", "lose_each="]
    assert complete(*at, "work", "run", "st") == ["steps=", "step="]
    assert "--dry-run" in complete(*at, "work", "finish", "--")
