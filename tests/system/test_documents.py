# SPDX-License-Identifier: MIT
"""Documents are in step with the code: samples and READMEs with what each plugin declares, the map with the files."""

import re
import subprocess
import textwrap

import pytest
import yaml

from harness import BIN, BUILD, TOP, run_once

PLUGINS = sorted(path.parent.name for path in TOP.glob("plugins/*/plugin.cmake"))
MAP = TOP / "docs/architecture.md"
LATER = "in this version)"  # what cannot be used yet need not be shown


@pytest.fixture(params=PLUGINS)
def plugin(request):
    return request.param


def sample_of(plugin):
    return (TOP / "plugins" / plugin / "sample.yaml").read_text()


def uncommented(text):
    return re.sub(r"^( {2,4})# ", r"\1", text, flags=re.M)


def flat(options, prefix=""):
    found = {}
    for key, value in options.items():
        found[prefix + key] = value
        if isinstance(value, dict):
            found |= flat(value, f"{prefix}{key}.")
    return found


def declared(plugin, title):
    """The lines below a title of `callwatch plugins NAME`."""
    done = subprocess.run([BIN / "callwatch", "plugins", BUILD / f"plugins/{plugin}.so"], capture_output=True, text=True, check=True)
    section = re.search(rf"^{title}\n(.*?)\n\n", done.stdout, re.M | re.S)
    return section[1].splitlines() if section else []


def declared_options(plugin):
    """(path, default or None) of each option that can be used, as far as it is not a field of a list's items."""
    group, in_items = "", False
    for line in declared(plugin, "options"):
        indent, key = re.match(r"( +)(\S+)", line).groups()
        default = re.search(r"; default (.*?)(; may come from a connection)?$", line)
        if len(indent) == 2:
            group, in_items = key, "list of groups" in line
        if LATER not in line and (len(indent) == 2 or not in_items):
            yield key if len(indent) == 2 else f"{group}.{key}", default and default[1]


def assert_is_configuration(folder, text, *more):
    done = run_once(folder, f"agent: {{ plugin_dir: [{BUILD}/plugins] }}\n{text}", "-t", *more)
    assert done.returncode == 0 and "configuration ok: " in done.stdout, done.stderr


@pytest.mark.parametrize("change", [str, uncommented], ids=["as it is", "uncommented"])
def test_sample_is_a_configuration(folder, plugin, change):
    assert_is_configuration(folder, change(sample_of(plugin)))


@pytest.mark.parametrize("path", ["README.md", *(f"plugins/{plugin}/README.md" for plugin in PLUGINS)])
def test_readme_shows_a_configuration(folder, path):
    examples = re.findall(r"^ *plugins:\n(?: +.*\n)+", (TOP / path).read_text(), re.M)
    assert examples
    for example in examples:
        assert_is_configuration(folder, textwrap.dedent(example))


@pytest.mark.parametrize("path", sorted(TOP.glob("conf.d/*.yaml")), ids=lambda path: path.name)
def test_vendor_file_is_a_configuration_and_so_is_what_its_comment_shows(folder, path):
    assert_is_configuration(folder, "", "-c", path)
    for example in re.findall(r"^##( +plugins:\n(?:## .*\n)+)", path.read_text(), re.M):
        assert_is_configuration(folder, textwrap.dedent(example.replace("##", "")), "-c", path)


def test_sample_names_every_option_with_its_default(plugin):
    sample = {}
    for entry in yaml.safe_load(uncommented(sample_of(plugin)))["plugins"]:
        if entry["plugin"] == plugin:  # not one that it refers to
            sample |= flat(entry)
    for path, default in declared_options(plugin):
        assert path in sample or f"{path}_file" in sample, f"{path} is not in the sample"
        if default is not None and path in sample:
            assert sample[path] == default or sample[path] == yaml.safe_load(default), f"{path}: not its default"


def test_readme_names_every_metric_every_need_and_every_check(plugin):
    readme = (TOP / "plugins" / plugin / "README.md").read_text()
    for line in declared(plugin, "metrics"):
        name = re.match(r" +(\w+)", line)[1]
        assert re.search(rf"`{name}\b", readme), f"{name} is not in the README"
    for need in declared(plugin, "needs")[1::2]:
        assert f"\n{need}\n" in readme
    for line in declared(plugin, "checks of `callwatch doctor`, in this order"):
        name = line.split()[0]
        assert f"`{name}`" in readme, f"the check {name} is not in the README"


def test_map_names_every_file_of_the_core():
    text = MAP.read_text()
    for path in sorted(set(TOP.glob("core/**/*.c")) - set(TOP.glob("core/client/*"))):
        assert re.search(rf"[`/]{path.name}\b", text), f"{path.name} is not in {MAP.name}"


def test_map_names_nothing_that_is_not_there():
    files = {path.name for folder in ("core", "common", "plugins", "include", "docs") for path in (TOP / folder).rglob("*.[ch]")}
    code = "".join(path.read_text() for folder in ("core", "plugins", "include") for path in (TOP / folder).rglob("*.[ch]"))
    text = MAP.read_text()
    for name in re.findall(r"\b[a-z_-]+\.[ch]\b", text):
        assert name in files | {"x.h"}, name
    for name in re.findall(r"\b(\w+)\(\)", text):
        assert re.search(rf"\b{name}\)?\(", code), f"{name}()"
    for path in re.findall(r"`((?:core|common|plugins|docs|include)/[\w./-]+)`", text):
        assert (TOP / path).exists(), path


def spoken():
    """What the code can say: each text of a source file, its pieces joined, with `%…` for what is filled in."""
    said = []
    for path in [*TOP.glob("core/**/*.c"), *TOP.glob("plugins/**/*.c")]:
        said += ["".join(re.findall(r'"((?:[^"\\]|\\.)*)"', piece)) for piece in re.findall(r'(?:"(?:[^"\\]|\\.)*"\s*)+', path.read_text())]
    return said


def test_every_reason_in_the_operators_list_is_one_that_the_code_gives():
    text = (TOP / "docs/operations.md").read_text().split("## Every state and what to do")[1]
    reasons = [reason for row in re.findall(r"^\| (.*?) \|", text, re.M) for reason in re.findall(r"`([^`]+)`", row) if " " in reason.strip()]
    assert len(reasons) > 40
    said = spoken()
    for reason in reasons:
        words = re.sub(r"\b(read|write|start|stop|examine)\(\)", "%s()", reason).strip()
        assert any(words in text for text in said), reason
