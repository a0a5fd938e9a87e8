# SPDX-License-Identifier: MIT
"""Rules as they are written: what `callwatchd -t` says of real files that are wrong, the vendor's rules with every sample configuration, and what
the documents say of them; what a reload says of rules that changed."""

import json
import re
import subprocess

import pytest
import yaml

from harness import BIN, BUILD, TOP, always, run_once, wait_for

VENDOR = TOP / "conf.d/20-rules.yaml"
RULES = {rule["name"]: rule for rule in yaml.safe_load(VENDOR.read_text())["rules"]}
PROMISED = """source-blind heartbeats-stopped calls-stale-many call-stale call-too-long calls-short capacity no-new-calls dlq-failed dlq-growing
 dlq-retrier-dead reconciliation-late reconciliation-failed notifications-lost workers-behind clock-skew output-down notifier-broken samples-dropped
 reload-failed""".split()
AGENT = f"agent: {{ plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins] }}\n"
PLUGINS = """plugins:
  - { plugin: redis-calls, name: calls, extra_fields: { worker: worker_id } }
  - { plugin: dlq }
  - { plugin: reconciliation, mode: celery, url: "redis://localhost/0" }
"""
NOBODY = "warning: no notifier is configured: alerts are shown by `callwatch alerts`, and nobody is told of them"


def lines(done):
    return done.stderr.replace("\n\n", "\n").strip().splitlines()


# ---- files that are wrong ----

WRONG = """rules:
  - name: silent
    table: calls
    where:
      - health_status=stael
      - wroker=ai-7
    inhibited_by: [source-blnd]
  - name: many
    metric: calls_active{helth=stale}
    above: 5
    clear_below: 7
    while: ["calls_stale_ratio>5%", "calls_stale_ratio"]
    severity: sever
  - name: many
    metric: calls_active
    below: 3
  - { name: texts, table: dlq, summary: "{{ call_sid }} {{ eror_message }}", description: "{{ raw | durtion }}" }
  - { name: slow, metric: sweep_duration_seconds, above: 5s, rate_above: 1 }
  - { name: call-too-longg, override: true, where: [] }
notify:
  default: [slack]
  routes:
    - { where: [severity=criticl], to: [calls] }
"""


@pytest.mark.sanitize
def test_every_error_of_a_file_has_its_place_and_what_would_be_right(folder):
    """One run shows them all; but of a rule with a key or a value that cannot be, no more is looked at."""
    done = run_once(folder, AGENT.strip() + "\n" + WRONG + PLUGINS, "-t", "-c", VENDOR)
    assert done.returncode == 78 and "configuration ok" not in done.stdout
    place = re.escape(str(folder / "once.yaml"))
    said = {(int(m[1]), int(m[2])): m[3] for m in (re.match(rf"{place}:(\d+):(\d+): (.*)", line) for line in lines(done)) if m}
    assert said[6, 9] == "where: health_status: `stael` is not one of healthy, warning, stale; did you mean `stale`?"
    assert said[7, 9] == "where: table `calls` has no column `wroker`; did you mean `worker`?"
    assert said[8, 20] == "inhibited_by: there is no rule `source-blnd`; did you mean `source-blind`?"
    assert said[14, 15] == "severity: expected one of info, warning, critical, found `sever`"
    assert said[15, 5].startswith(f"the name `many` is already used at {folder / 'once.yaml'}:9:5")
    assert said[18, 41] == "summary: table `dlq` has no column `eror_message`; did you mean `error_message`?"
    assert said[18, 91].startswith("description: no filter `durtion` (duration, number,")
    assert said[19, 74] == "rule slow: `above` and `rate_above`: a rule has one test"
    assert said[20, 5] == "`override: true`, but there is nothing named `call-too-longg` to override; did you mean `call-too-long`?"
    assert said[22, 13].startswith("default: there is no notifier `slack`")
    assert said[24, 17].startswith("where: severity: `criticl` is not one of info, warning, critical; did you mean `critical`?")
    assert said[24, 41] == "to: `calls` has the role source, and a notifier is needed"
    assert len(said) == 12, done.stderr


def test_wrong_rules_stop_a_start_and_a_reload_changes_nothing(daemon, client):
    web = f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n"
    right = AGENT + "plugins:\n  - { plugin: steady }\n" + web
    wrong = right + "rules: [{ name: a, table: stepps }]\n"
    assert run_once(daemon.folder, wrong, timeout=10).returncode == 78
    daemon.start(right)
    daemon.configure(wrong)
    refused = client("reload")
    assert refused.returncode == 1 and "no configured plugin has a table `stepps`; did you mean `steps`?" in refused.stderr
    assert client("config", "diff").returncode == 78


@pytest.mark.sanitize
def test_reload_and_diff_say_which_rules_changed(daemon, client):
    head = AGENT + f"plugins:\n  - {{ plugin: steady }}\n  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n"
    daemon.start(head + "rules:\n  - { name: a, table: steps, where: [state=odd] }\n  - { name: b, table: steps }\n")
    daemon.configure(head + "rules:\n  - { name: a, table: steps, where: [state=even] }\n  - { name: c, table: steps }\nnotify: { group_wait: 1s }\n")
    assert client("config", "diff").stdout.splitlines() == [
        "rule a: where: [state=odd] → [state=even]", "rule b: removed", "rule c: added", "notify: group_wait: 10s → 1s"]
    assert client("reload").stdout == "2 unchanged, 0 restarted, 0 added, 0 removed; rules: 1 added (c), 1 changed (a), 1 removed (b)\n"
    assert client("config", "diff").stdout.startswith("nothing")


# ---- the vendor's ----

@pytest.mark.parametrize("plugin", sorted(path.parent.name for path in TOP.glob("plugins/*/sample.yaml")))
def test_vendor_rules_are_right_beside_every_sample(folder, plugin):
    """And say nothing: but for the one line that nobody is told, where there is no notifier."""
    sample = (TOP / "plugins" / plugin / "sample.yaml").read_text()
    done = run_once(folder, AGENT + sample, "-t", "-c", VENDOR)
    assert done.returncode == 0, done.stderr
    alone = f"warning: no notifier is told of alerts: they are shown by `callwatch alerts`, and who hears of them is up to what `{plugin}` does by itself"
    assert [line for line in lines(done) if "rule" in line or "notifier" in line] in ([NOBODY], [alone], []), done.stderr


@pytest.mark.sanitize
def test_vendor_rules_are_right_when_all_that_they_are_about_is_there(folder):
    """None sleeps then, so that every word of them has been held against a declaration."""
    done = run_once(folder, AGENT + PLUGINS, "-t", "-c", VENDOR)
    assert done.returncode == 0 and lines(done) == [NOBODY], done.stderr
    assert {rule["for_plugin"] for rule in RULES.values() if "for_plugin" in rule} == {"redis-calls", "dlq", "reconciliation"}
    for rule in RULES.values():  # one that misspells a word is seen
        text = VENDOR.read_text().replace("no-new-calls\n    enabled: false", "no-new-calls")
        field = f"    table: {rule['table']}" if "table" in rule else f"    metric: {rule['metric']}"
        at = text.index(field, text.index(f"- name: {rule['name']}\n"))
        (folder / "broken.yaml").write_text(text[:at] + field + "x" + text[at + len(field):])
        done = run_once(folder, AGENT + PLUGINS, "-t", "-c", folder / "broken.yaml")
        assert "broken.yaml:" in done.stderr, rule["name"]


def test_vendor_rules_are_those_that_were_promised():
    assert set(PROMISED) <= set(RULES)
    assert [name for name, rule in RULES.items() if not rule.get("enabled", True)] == ["no-new-calls"]
    for name, rule in RULES.items():
        assert rule["summary"] and len(rule["description"]) > 80, name
        assert "calls" not in rule.get("for_plugin", "") or "source-blind" in rule["inhibited_by"], name


def test_commands_that_vendor_rules_name_exist(client):
    known = client("--help").stdout
    words = {word for rule in RULES.values() for word in re.findall(r"`callwatch (\w+)", rule["description"])}
    assert words >= {"calls", "doctor", "get", "trigger", "runs"}
    tables = {"calls", "dlq", "runs"}
    for word in words - tables - {"why"}:
        assert re.search(rf"^  {word} ", known, re.M), word


def test_vendor_rules_can_be_changed_and_switched(folder):
    own = """rules:
  - { name: call-too-long, override: true, where: [duration_seconds>90m] }
  - { name: source-blind, override: true, enabled: false }
  - { name: no-new-calls, override: true, enabled: true }
"""
    assert run_once(folder, AGENT + PLUGINS + own, "-t", "-c", VENDOR).returncode == 0, "what is switched off may still be named by others"
    shown = subprocess.run([BIN / "callwatch", "config", "show", "-c", VENDOR, "-c", folder / "once.yaml"], capture_output=True, text=True, check=True).stdout
    merged = {rule["name"]: rule for rule in yaml.safe_load(shown)["rules"]}
    assert merged["call-too-long"]["where"] == ["duration_seconds>90m"] and merged["call-too-long"]["noun"] == RULES["call-too-long"]["noun"]
    assert "source-blind" not in merged and "no-new-calls" in merged


def test_operations_md_has_every_vendor_rule_with_its_severity():
    text = (TOP / "docs/operations.md").read_text()
    rows = dict(re.findall(r"^\| `([\w-]+)` \|.*\| (info|warning|critical) \|$", text, re.M))
    assert rows == {name: rule.get("severity", "warning") for name, rule in RULES.items()}


@pytest.mark.parametrize("page", ["docs/operations.md", "packaging/callwatch.yaml"])
def test_rules_that_documents_show_are_rules(folder, page):
    text = (TOP / page).read_text()
    if page.endswith(".yaml"):
        examples = [re.sub(r"^( *)# ", r"\1", text[text.index("\nrules:"):], flags=re.M)]
    else:
        examples = re.findall(r"```yaml\n(rules:\n.*?)```", text, re.S)
    assert examples
    for example in examples:
        done = run_once(folder, AGENT + PLUGINS + example, "-t", "-c", VENDOR)
        assert done.returncode == 0 and lines(done) == [NOBODY], done.stderr


# ---- at work ----

def test_vendor_rules_are_quiet_while_all_is_well_and_loud_when_workers_die(daemon, redis, make_sim, folder):
    """From the start on, with real calls: no alert; then nobody beats any more. Only waits are shorter than the vendor's."""
    sim = make_sim(redis.url, "--calls", 8, "--beat", "500ms")
    heard = folder / "heard"
    daemon.start(AGENT.replace("agent: {", f"agent: {{ interval: 1s, state_dir: {folder}/state,") + f"""plugins:
  - {{ plugin: redis-calls, name: calls, url: "{redis.url}", warning_after: 3s, stale_after: 30s, sweep: {{ max_age: 2s }} }}
  - {{ plugin: dlq, url: "{redis.url}" }}
  - {{ plugin: herald, name: slack, path: {heard} }}
  - {{ plugin: web, listen: ["unix:{daemon.socket}"] }}
notify: {{ group_wait: 0s }}
rules:
  - {{ name: source-blind, override: true, for: 1s }}
  - {{ name: heartbeats-stopped, override: true, for: 1s }}
  - {{ name: notifier-broken, override: true, for: 1s }}
  - {{ name: output-down, override: true, for: 1s }}
  - {{ name: instance-down, override: true, for: 1s }}
""", arguments=("-c", VENDOR))
    wait_for(lambda: len(daemon.rows("calls")) == 8, 20, what="eight calls")
    always(lambda: not daemon.rows("alerts"), 4, what="no alert while all is well")
    sim.popen.kill()
    [alert] = wait_for(lambda: daemon.rows("alerts", where="state=firing"), 30, what="that nobody beats")
    assert (alert["alert"], alert["severity"], alert["instance"]) == ("heartbeats-stopped", "critical", "calls")
    [notice] = wait_for(lambda: heard.exists() and [json.loads(line) for line in heard.read_text().splitlines()], 20, what="a message about it")
    assert notice["title"] == "heartbeats-stopped: 100% of all calls give no sign of life (calls)"
    redis.stop()
    wait_for(lambda: {a["alert"] for a in daemon.rows("alerts", where="state=firing")} == {"source-blind"}, 30, what="only that nothing is seen")
    assert {a["alert"] for a in daemon.rows("alerts", where="state=unknown")} >= {"heartbeats-stopped"}, "which has not ended: nobody knows"
