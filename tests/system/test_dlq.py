# SPDX-License-Identifier: MIT
"""Dead letters: table dlq follows the queue, whatever it is made of and whatever is in it."""

import http.server
import json
import random
import threading
import time

import pytest

import dead_letters
import harness
from dead_letters import KEY, KINDS, Queue, message
from harness import BUILD, run_client, wait_for


def config(daemon, url, dlq="", more="", interval="1s"):
    lines = "".join(f"    {line}\n" for line in dlq.strip("\n").split("\n") if line)
    return (f"agent:\n  hostname: testhost\n  interval: {interval}\n  state_dir: {daemon.folder}/state\n"
            f"  plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins]\n"
            f"plugins:\n  - plugin: dlq\n    url: \"{url}\"\n{lines}"
            f"  - plugin: web\n    listen: [\"unix:{daemon.socket}\"]\n"
            + "".join(f"  {line}\n" for line in more.strip("\n").split("\n") if line))


def row_of(daemon, **where):
    rows = daemon.rows("dlq", where=[f"{k}={v}" for k, v in where.items()])
    assert len(rows) == 1, rows
    return rows[0]


def wait_equal(queue, daemon, deadline=20, **options):
    def wrong():
        return dead_letters.differences(queue, daemon.rows("dlq"), **options)

    try:
        wait_for(lambda: not wrong(), deadline, every=0.3, what="the table to be right")
    except harness.Deadline as e:
        raise harness.Deadline(f"{e}\n" + "\n".join(wrong()[:20])) from None


def metric(daemon, name):
    lines = daemon.request("GET", "/metrics")[1].decode().splitlines()
    found = [float(line.split()[-1]) for line in lines if line.startswith(f"callwatch_{name}{{") or line.startswith(f"callwatch_{name} ")]
    return sum(found) if found else None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_the_table_equals_the_oracle(redis, daemon, kind):
    queue, now = Queue(redis.client, kind), time.time()
    queue.push(*(message(i, retry_count=i % 4, due=now + (i % 5 - 2) * 600) for i in range(1500)))
    if kind != "zset":
        queue.push(*([message(1, due=now)] * 3))
    daemon.start(config(daemon, redis.url))
    wait_equal(queue, daemon)
    daemon.wait_state("up", "reading a " + ("sorted set" if kind == "zset" else kind), name="dlq")
    assert daemon.table("dlq", limit=1)["complete"]
    groups = {row["error_group"]: row for row in daemon.rows("dlq_groups")}
    assert len(groups) == len(dead_letters.ERRORS), groups.keys()
    assert sum(row["count"] for row in groups.values()) == queue.depth()
    assert abs(sum(row["share"] for row in groups.values()) - 1) < 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_the_table_follows_twenty_arrivals_and_departures_a_second(redis, daemon, kind):
    queue, end = Queue(redis.client, kind), threading.Event()
    queue.push(*(message(i) for i in range(800)))
    daemon.start(config(daemon, redis.url))
    wait_equal(queue, daemon)
    before = metric(daemon, "dlq_arrivals_total"), metric(daemon, "dlq_departures_total"), queue.depth()
    counts = [0, 0]

    def churn():
        other = Queue(redis.client, kind)
        for i in range(1000, 1000 + int(max(harness.LARGE, 4) * 20)):
            other.push(message(i, retry_count=i % 4))
            counts[0] += 1
            counts[1] += (other.take_any() if i % 2 else other.take_first()) is not None
            end.wait(0.05)

    thread = threading.Thread(target=churn)
    thread.start()
    thread.join()
    wait_equal(queue, daemon)
    wait_for(lambda: metric(daemon, "dlq_depth") == queue.depth(), what="the depth")
    if kind != "zset":  # else what comes and goes between two looks is not counted
        wait_for(lambda: metric(daemon, "dlq_arrivals_total") - before[0] == counts[0], what="the arrivals")
    arrivals, departures = metric(daemon, "dlq_arrivals_total") - before[0], metric(daemon, "dlq_departures_total") - before[1]
    assert arrivals - departures == queue.depth() - before[2]
    assert arrivals <= counts[0] and departures <= counts[1]
    assert daemon.instance("dlq")["errors"] == 0


@pytest.mark.parametrize("kind", ["list", "zset"])
def test_what_stays_is_never_taken_for_gone_though_its_place_moves_under_a_slow_pass(redis, daemon, kind):
    queue, end = Queue(redis.client, kind), threading.Event()
    for i in range(3000):
        if i % 500 == 0:
            for j in range(i, i + 500):
                queue.push(message(j), score=j) if kind == "zset" else queue.push(message(j))
    daemon.start(config(daemon, redis.url, dlq="window: 4000\nwindow_end: oldest\nbudget: 0.1%\nmax_age: 1s"))
    daemon.wait_total(3000, table="dlq")

    def consume():
        while not end.wait(0.005):
            queue.take_first()

    consumer = threading.Thread(target=consume)
    consumer.start()
    try:
        stays = "call_sid=~0(9[c-f].|[ab]..)$"  # 2496 and later
        harness.always(lambda: daemon.total("dlq", where=stays) == 504, 5, what="those at the end")
    finally:
        end.set()
        consumer.join()
    wait_equal(queue, daemon)


@pytest.mark.parametrize("kind", KINDS)
def test_a_window_says_how_much_of_the_queue_it_is(redis, daemon, kind):
    queue = Queue(redis.client, kind)
    for i in range(3000):
        if i % 500 == 0:
            queue.push(*(message(j) for j in range(i, i + 500)), score=None)
    daemon.start(config(daemon, redis.url, dlq="window: 400"))
    wait_equal(queue, daemon, window=400)
    answer = daemon.table("dlq", limit=1)
    assert answer["total"] == 400 and not answer["complete"] and abs(answer["coverage"] - 400 / 3000) < 1e-9
    assert metric(daemon, "dlq_depth") == 3000
    daemon.wait_state("up", "the newest 400 messages only", name="dlq")
    for _ in range(30):
        queue.take_any()
    queue.push(*(message(i) for i in range(4000, 4050)))
    wait_equal(queue, daemon, window=400)


def test_first_rows_come_from_the_newest_end_while_the_rest_is_read(redis, daemon):
    queue = Queue(redis.client, "list")
    for i in range(0, 20000, 1000):
        queue.push(*(message(j) for j in range(i, i + 1000)))
    daemon.start(config(daemon, redis.url, dlq="window: 15000"))
    daemon.wait_total(15000, table="dlq")
    assert metric(daemon, "dlq_depth") == 20000


@pytest.mark.parametrize("lines, expected", [("list_newest: head", range(0, 3)), ("window_end: oldest", range(0, 3)),
                                             ("window_end: oldest\nlist_newest: head", range(7, 10))])
def test_either_end_of_a_list_may_be_the_newest_and_either_the_window(redis, daemon, lines, expected):
    Queue(redis.client, "list").push(*(message(i) for i in range(10)))
    daemon.start(config(daemon, redis.url, dlq="window: 3\n" + lines))
    wait_for(lambda: {row["call_sid"] for row in daemon.rows("dlq")} == {f"CA{i:032x}" for i in expected}, what="the window")
    redis.client.lrem(KEY, 1, message(0))
    redis.client.lpop(KEY)
    redis.client.rpop(KEY)
    wait_for(lambda: metric(daemon, "dlq_depth") == 8, what="the depth")
    left = range(expected.start + 1, expected.stop + 1) if expected.start == 0 else range(expected.start - 1, expected.stop - 1)
    wait_for(lambda: {row["call_sid"] for row in daemon.rows("dlq")} == {f"CA{i:032x}" for i in left}, what="the window after")


def test_the_channel_makes_arrivals_seen_at_once(redis, daemon):
    daemon.start(config(daemon, redis.url, interval="1h"))
    wait_for(lambda: redis.client.pubsub_numsub("call_logs_dlq")[0][1] == 1, what="the subscription")
    daemon.wait_state("up", "the queue is empty", name="dlq")
    raw = message(1)
    redis.client.rpush(KEY, raw)
    redis.client.publish("call_logs_dlq", raw)
    daemon.wait_total(1, table="dlq")


def test_a_message_becomes_overdue_by_time_and_is_failed_without_retries(redis, daemon):
    soon = time.time() + 2
    Queue(redis.client, "list").push(message(1, due=soon), message(2, retry_count=3, due=soon), message(3, due=soon + 3600))
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(1, table="dlq", where="state=overdue")
    assert time.time() >= soon and row_of(daemon, state="overdue")["call_sid"] == f"CA{1:032x}"
    assert row_of(daemon, state="failed")["retry_status"] == "3/3"
    waiting = row_of(daemon, state="waiting")
    assert 3500 < waiting["retry_in_seconds"] < 3600
    wait_for(lambda: metric(daemon, "dlq_overdue_age_max_seconds") > 0, what="the overdue age")


def test_the_queue_may_change_its_type_be_emptied_and_be_no_queue(redis, daemon):
    daemon.start(config(daemon, redis.url))
    daemon.wait_state("up", "the queue is empty", name="dlq")
    for kind in KINDS:
        queue = Queue(redis.client, kind)
        queue.push(*(message(i) for i in range(50)))
        wait_equal(queue, daemon)
        pipe = redis.client.pipeline()
        pipe.delete(KEY)
        if kind == "stream":
            pipe.hset(KEY, "a", "b")
        pipe.execute()
        if kind == "stream":
            daemon.wait_state("down", "is no list, stream or sorted set", name="dlq")
            redis.client.delete(KEY)
        daemon.wait_total(0, table="dlq")
    assert metric(daemon, "dlq_depth") == 0 or wait_for(lambda: metric(daemon, "dlq_depth") == 0)


def test_while_redis_is_down_the_rows_stay_and_the_gauges_stop(redis, daemon):
    queue = Queue(redis.client, "list")
    queue.push(*(message(i) for i in range(50)))
    daemon.start(config(daemon, redis.url))
    wait_equal(queue, daemon)
    redis.client.save()
    redis.stop()
    daemon.wait_state("down", name="dlq")
    wait_for(lambda: metric(daemon, "dlq_depth") is None, what="the gauge to stop")
    assert daemon.total("dlq") == 50 and metric(daemon, "dlq_arrivals_total") == 0
    redis.start()
    daemon.wait_state("up", deadline=30, name="dlq")
    wait_equal(Queue(redis.client, "list"), daemon)
    assert metric(daemon, "dlq_arrivals_total") == 0


def test_a_reload_keeps_when_a_message_was_first_seen(redis, daemon):
    Queue(redis.client, "list").push(message(1))
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(1, table="dlq")
    before = row_of(daemon)
    daemon.configure(config(daemon, redis.url, dlq="window: 500"))
    assert "1 restarted (dlq)" in run_client(daemon, "reload").stdout
    daemon.wait_state("up", name="dlq")
    wait_for(lambda: row_of(daemon)["first_seen"] == before["first_seen"], what="the row of before")


@pytest.mark.parametrize("kind", KINDS)
def test_the_rights_that_the_plugin_names_suffice(redis, daemon, client, kind):
    line = [line.strip() for line in client("plugins", BUILD / "plugins/dlq.so").stdout.splitlines() if "ACL SETUSER" in line][0]
    redis.client.execute_command(*line.replace(">PASSWORD", ">secret").split())
    queue = Queue(redis.client, kind)
    queue.push(*(message(i) for i in range(50)), message(99, error="x" * 20000))
    daemon.start(config(daemon, redis.url, dlq="username: callwatch\npassword: secret"))
    wait_equal(queue, daemon)
    queue.push(message(100))
    redis.client.publish("call_logs_dlq", "x")
    wait_equal(queue, daemon)
    wait_for(lambda: redis.client.acl_log() == [], what="nothing refused")
    done = client("doctor", "dlq")
    assert done.returncode == 0 and "all commands that reading is made of are allowed" in done.stdout, done.stdout


def test_fault_07_a_right_that_is_taken_away_is_named_and_seen_again_when_it_is_back(redis, daemon):
    redis.client.execute_command("ACL", "SETUSER", "callwatch", "on", ">secret", "~*", "&*", "+@all")
    Queue(redis.client, "list").push(message(1))
    daemon.start(config(daemon, redis.url, dlq="username: callwatch\npassword: secret"))
    daemon.wait_total(1, table="dlq")
    redis.client.execute_command("ACL", "SETUSER", "callwatch", "-lrange")
    daemon.wait_state("down", "may not run LRANGE (NOPERM)", name="dlq")
    redis.client.execute_command("ACL", "SETUSER", "callwatch", "+lrange", "-eval")
    daemon.wait_state("up", name="dlq")
    Queue(redis.client, "list").push(message(2, error="x" * 9000))
    daemon.wait_total(1, table="dlq", where="state=unreadable")
    assert "too large to be looked into without +eval" in row_of(daemon, state="unreadable")["error_message"]


# ---- faults ----


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_fault_18_what_cannot_be_read_is_shown_and_stays_as_it_is(redis, daemon, client, kind):
    junk = [b"", b"not json", b"{\"call_sid\":", b"[1,2,3]", b"\"text\"", b"{\"retry_count\":\"many\"}", b"\xff\xfe\x00\x01", b"{}" * 9, b"NaN",
            b"\x1b[31m\xe2\x80\xae{\"x\":", b"{\"call_sid\":\"CA1\",\"error\":\"\x00\"}"]
    queue = Queue(redis.client, kind)
    queue.push(message(1), *junk, message(2))
    before = sorted(queue.all())
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(len(junk), table="dlq", where="state=unreadable")
    assert daemon.total("dlq") == len(junk) + 2 and sorted(queue.all()) == before
    rows = {row["id"]: row for row in daemon.rows("dlq", columns="id,error_message,state,raw")}
    assert rows[queue.name(b"not json")]["error_message"] == "unreadable: not JSON (8 bytes)"
    assert rows[queue.name(b"not json")]["raw"] == "not json"
    assert "no JSON object" in rows[queue.name(b"[1,2,3]")]["error_message"]
    assert "retry_count is no whole number" in rows[queue.name(b"{\"retry_count\":\"many\"}")]["error_message"]
    wait_for(lambda: metric(daemon, "dlq_messages") == len(junk) + 2, what="the metric")
    groups = {row["error_group"]: row["count"] for row in daemon.rows("dlq_groups")}
    assert groups["unreadable: not JSON"] >= 5
    shown = client("get", "dlq", "--columns", "id,error_message,raw").stdout
    assert "\x1b[31m" not in shown and "\u202e" not in shown


SEEDS = [b'{"a":[1,-0.5e+3,true,null],"b":"x\\u00e9\\n"}', b'[[],{},"",0,-1E-2,[false]]', b'"a \\"quoted\\" \\ud83d\\ude00 \xc3\xa9"', b"12.5e3"]
PIECES = [b"", b"0", b"1", b"-", b".", b"e", b"+", b'"', b"\\", b"\\u", b",", b":", b"[", b"]", b"{", b"}", b" ", b"\t", b"\n", b"\x00", b"\x1f", b"\x7f",
          b"\xc3", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82\xac", b"NaN", b"Infinity", b"true", b"nul", b"/**/", b"'", b"\xef\xbb\xbf"]


def strict(raw):
    """Is it JSON, for Python's parser? None: half of a surrogate pair, on which parsers differ."""

    def refuse(name):
        raise ValueError(name)

    try:
        text = json.dumps(json.loads(raw.decode(), parse_constant=refuse), ensure_ascii=False)
    except ValueError:
        return False
    return None if any("\ud800" <= c <= "\udfff" for c in text) else True


def test_fault_18_what_is_json_is_judged_as_an_independent_parser_does(redis, daemon):
    """400 documents that a piece was put into, or taken out of, at random; the same ones each time."""
    dice, queue, verdicts = random.Random(18), Queue(redis.client, "list"), {}
    while len(verdicts) < 400:
        document = dice.choice(SEEDS)
        at, length = dice.randrange(len(document) + 1), dice.randrange(2)
        raw = b'{"call_sid":"CA1","original_data":' + document[:at] + dice.choice(PIECES) + document[at + length:] + b"}"
        verdict = strict(raw)
        if verdict is not None:
            verdicts[raw] = verdict
    queue.push(*verdicts)
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(len(verdicts), table="dlq")
    states = {row["id"]: row["state"] for row in daemon.rows("dlq", columns="id,state")}
    wrong = [raw for raw, verdict in verdicts.items() if (states[queue.name(raw)] != "unreadable") != verdict]
    assert not wrong and sum(verdicts.values()) > 50


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.sanitize
def test_fault_19_deep_and_huge_messages_harm_nobody(redis, daemon, kind):
    queue = Queue(redis.client, kind)
    deep, number = b"[" * 100000, b"{\"retry_count\":1e999999}"
    huge = b"{\"call_sid\":\"CA1\",\"error\":\"" + b"x" * (10 << 20) + b"\"}"
    queue.push(message(1), deep, huge, number, message(2))
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(3, table="dlq", where="state=unreadable")
    rows = {row["id"]: row for row in daemon.rows("dlq", columns="id,error_message,raw")}
    assert len(rows) == 5
    assert "too deep" in rows[queue.name(deep)]["error_message"] and "(97 KB)" in rows[queue.name(deep)]["error_message"]
    assert rows[queue.name(huge)]["error_message"] == "unreadable: too large (10.0 MB)"
    assert len(rows[queue.name(huge)]["raw"]) <= 4096
    assert "retry_count" in rows[queue.name(number)]["error_message"]
    queue.push(message(3))
    wait_for(lambda: daemon.total("dlq") == 6, what="the next message")
    assert harness.SANITIZED or daemon.process.rss_kib() < 100 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_fault_21_an_error_of_a_megabyte_is_cut_and_says_how_long_it_is(redis, daemon, kind):
    queue = Queue(redis.client, kind)
    error = ("ä line of +14155550132\n" * 50000)
    raw = message(1, error=error)
    assert len(raw) > 1 << 20
    queue.push(raw)
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(1, table="dlq", where="state=waiting")
    row = daemon.rows("dlq", columns="id,error_message,call_sid,raw")[0]
    assert row["id"] == queue.name(raw) and row["call_sid"] == f"CA{1:032x}"
    assert len(row["error_message"].encode()) < 4096 and row["error_message"].endswith("… (1.1 MB)")
    assert "4155550132" not in json.dumps(row) and "••••••0132" in row["error_message"]


def test_fault_20_any_bytes_of_an_error_leave_every_surface_valid(redis, daemon, client):
    queue = Queue(redis.client, "list")
    errors = ["\ud800 lone", "bidi \u202e txt", "emoji \U0001f600", "quote \" and \\ and \n line", "\u0000 nul", "x" * 3000 + "ä" * 600]
    for i, error in enumerate(errors):
        queue.push(message(i, error=error))
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(len(errors), table="dlq", where="state=waiting")
    assert daemon.total("dlq_groups") == len(errors)
    metrics = daemon.request("GET", "/metrics")[1]
    metrics.decode()
    assert b"lone" not in metrics and b"emoji" not in metrics
    assert "\u202e" not in client("get", "dlq").stdout + client("get", "dlq_groups").stdout


def test_phone_numbers_are_masked_in_error_text_raw_and_groups(redis, daemon, client):
    raw = (b'{"call_sid":"CA1","action":"create","error":"no route to +14155550132 (\\u002b14155550199)","original_data":'
           b'{"from":"\\u002B14155550132","to":"+1 (415) 555-0177"}}')
    redis.client.rpush(KEY, raw)
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(1, table="dlq")
    wait_for(lambda: daemon.total("dlq_groups") == 1, what="the group")
    surfaces = [json.dumps(daemon.rows("dlq", columns="id,error_message,error_group,raw")), json.dumps(daemon.rows("dlq_groups")),
                client("get", "dlq", "--format", "csv", "--columns", "id,raw,error_message").stdout, daemon.request("GET", "/metrics")[1].decode(),
                daemon.stderr]
    for surface in surfaces:
        for number in ("4155550132", "4155550199", "555-0177"):
            assert number not in surface, surface
    shown = client("get", "dlq", "--columns", "raw", "--reveal", "--format", "json").stdout
    assert "+14155550132" in shown, shown


def test_the_call_in_progress_and_its_business_are_joined(redis, daemon):
    redis.client.config_set("notify-keyspace-events", "KA")
    redis.client.hset(f"call_ctx:CA{1:032x}", mapping={"business_id": "b-1", "start_time": "2026-11-25T10:00:00"})
    Queue(redis.client, "list").push(message(1), message(2))
    daemon.start(config(daemon, redis.url, more=f"- {{ plugin: redis-calls, name: calls, url: \"{redis.url}\" }}"))
    wait_for(lambda: [row["call_active"] for row in daemon.rows("dlq", sort="call_sid")] == [True, False], what="the join")
    redis.client.delete(f"call_ctx:CA{1:032x}")
    wait_for(lambda: [row["call_active"] for row in daemon.rows("dlq", sort="call_sid")] == [False, False], 30, what="the end of the call")


def test_without_table_calls_it_is_not_known_whether_a_call_is_active(redis, daemon):
    Queue(redis.client, "list").push(message(1))
    daemon.start(config(daemon, redis.url))
    daemon.wait_total(1, table="dlq")
    assert row_of(daemon)["call_active"] is None and row_of(daemon)["already_healed"] is None


def test_once_reads_all_and_ends(redis, daemon):
    Queue(redis.client, "list").push(*(message(i) for i in range(700)))
    done = harness.run_once(daemon.folder, config(daemon, redis.url), "--once", "--format", "json")
    assert done.returncode == 0, done.stderr
    assert any(json.loads(line)["metric"] == "dlq_depth" and json.loads(line)["value"] == 700 for line in done.stdout.splitlines() if line)


def test_a_lookup_gives_the_business_and_the_row_of_the_call_log(redis, postgres, daemon):
    log_id = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
    postgres.execute("CREATE TABLE businesses (id text PRIMARY KEY, name text); INSERT INTO businesses VALUES ('b-1', 'Ace'), ('b-2', 'Bee');"
                     "CREATE TABLE call_log (id text PRIMARY KEY)")
    lookup = "- {{ plugin: postgres-lookup, name: {name}, url: \"{url}\", ids: text, negative_ttl: 1s, sql: \"{sql}\" }}"
    more = "\n".join([lookup.format(name="businesses", url=postgres.url, sql="SELECT id, name FROM businesses WHERE id = ANY($1)"),
                      lookup.format(name="logs", url=postgres.url, sql="SELECT id, 'there' FROM call_log WHERE id = ANY($1)")])
    Queue(redis.client, "list").push(message(1, original_data={"business_id": "b-1", "call_log_id": log_id}),
                                     message(2, original_data={"business_id": "b-2"}))
    daemon.start(config(daemon, redis.url, dlq="lookup: businesses\ncall_log_lookup: logs", more=more))
    wait_for(lambda: [row["business_name"] for row in daemon.rows("dlq", sort="call_sid")] == ["Ace", "Bee"], 20, what="the names")
    assert all(row["already_healed"] is None for row in daemon.rows("dlq"))
    postgres.execute(f"INSERT INTO call_log VALUES ('{log_id}'), ('CA{2:032x}')")
    wait_for(lambda: all(row["already_healed"] == "call_log row" for row in daemon.rows("dlq")), 30, what="the evidence")


def test_a_later_successful_run_heals_what_came_before_it(redis, daemon):
    ran = {"at": None}

    class Backend(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = json.dumps({"last_run_at": ran["at"], "status": "success" if ran["at"] else "never", "missing_count": 1, "queued_count": 1,
                               "error": None}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    key = daemon.folder / "key"
    key.write_text("a-long-key-4711\n")
    key.chmod(0o600)
    queue = Queue(redis.client, "list")
    queue.push(message(1))
    daemon.start(config(daemon, redis.url, more=f"- {{ plugin: reconciliation, mode: http, url: \"http://127.0.0.1:{server.server_port}\", "
                                                f"api_key_file: \"{key}\" }}"))
    daemon.wait_total(1, table="dlq")
    assert row_of(daemon)["already_healed"] is None
    ran["at"] = dead_letters.iso(time.time() + 1)
    wait_for(lambda: (row_of(daemon)["already_healed"] or "").startswith(f"run {ran['at'][:19]}"), 30, what="the evidence")
    server.shutdown()
