# SPDX-License-Identifier: MIT
"""Names from a real PostgreSQL, asked for by a source that does nothing else (tests/plugins/asker.c): what arrives, what it costs the
server, and what happens when the server is not there, refuses, hangs, or holds what it should not. One server for the module, a database
and a role for each test."""

import json
import os
import re
import signal
import stat
import subprocess
import time
import uuid
from pathlib import Path

import pytest

import harness
from certificates import Authority
from harness import BUILD, SLOWER, Process, run_client, wait_for

COLUMNS = "id uuid PRIMARY KEY, business_name text, primary_business_phone_number text, twilio_phone_number text, industry text"
NEED = "GRANT SELECT (id, business_name, primary_business_phone_number) ON businesses TO callwatch"


def uuid_of(number):
    return str(uuid.UUID(int=0x0A1B2C3D_0000_4000_8000_000000000000 + number))


@pytest.fixture(scope="module")
def server():
    made = harness.Postgres()
    try:
        yield made.start()
    finally:
        made.remove()


class Database:
    """A database with an empty table of businesses, and a role that may read it."""

    def __init__(self, server, encoding="UTF8"):
        self.server, self.name, self.role = server, f"app{uuid.uuid4().hex[:8]}", f"reader{uuid.uuid4().hex[:8]}"
        server.execute(f"CREATE DATABASE {self.name} ENCODING '{encoding}' TEMPLATE template0 LOCALE 'C'")
        server.execute(f"CREATE ROLE {self.role} LOGIN")
        self.execute(f"CREATE TABLE businesses ({COLUMNS})")
        self.execute(NEED.replace("TO callwatch", f"TO {self.role}"))

    @property
    def url(self):
        return self.server.socket_url(self.name, self.role)

    def tcp_url(self, port=None, host="127.0.0.1", more=""):
        return f"postgresql://{self.role}@{host}:{port or self.server.port}/{self.name}{more}"

    def execute(self, sql):
        return self.server.execute(sql, self.name)

    def fill(self, count, first=0):
        self.execute(f"INSERT INTO businesses SELECT ('0a1b2c3d-0000-4000-8000-' || lpad(to_hex(i), 12, '0'))::uuid, 'Business ' || i, "
                     f"'+1415555' || lpad(i::text, 6, '0'), '+1', 'x' FROM generate_series({first}, {first + count - 1}) i")

    def backends(self):
        return self.server.execute(f"SELECT pid FROM pg_stat_activity WHERE datname = '{self.name}' AND application_name = 'callwatch'").split()

    def session(self, folder, sql):
        """A session that goes on by itself, until it is killed."""
        url = self.server.socket_url(self.name, "callwatch")
        return Process(folder, "session", [self.server.program("psql"), "-X", "-d", url, "-c", sql])


@pytest.fixture
def database(server):
    made = Database(server)
    yield made
    if not server.process.running:
        server.start()
    server.execute(f"DROP DATABASE {made.name} WITH (FORCE)")


def config(daemon, url, keys, options="", asker=""):
    """asker asks `businesses` for the keys, and the web plugin on the daemon's socket."""
    path = daemon.folder / "keys"
    path.write_text("".join(f"{key}\n" for key in keys))
    return (f"agent: {{ hostname: testhost, interval: 200ms, state_dir: {daemon.folder}/state, plugin_dir: [{BUILD}/plugins, {BUILD}/tests/plugins] }}\n"
            f"plugins:\n  - {{ plugin: asker, from: businesses, keys: {path}{asker} }}\n"
            f"  - {{ plugin: postgres-lookup, name: businesses, url: \"{url}\"{options} }}\n"
            f"  - {{ plugin: web, listen: [\"unix:{daemon.socket}\"] }}\n")


def names(daemon):
    return {row["key"]: row["name"] for row in daemon.rows("asked")}


def wait_names(daemon, expected, deadline=15):
    def arrived():
        told = names(daemon)
        return {key: told.get(key, "-") for key in expected} == expected

    try:
        wait_for(arrived, deadline, what="the names to arrive")
    except harness.Deadline as e:
        raise harness.Deadline(f"{e}; they are {names(daemon)}, {daemon.state('businesses')}\n{daemon.stderr[-2000:]}") from None


def wait_down(daemon, *words, state="down", deadline=15):
    daemon.wait_state(state, deadline=deadline, name="businesses")
    for word in words:
        daemon.wait_state(state, word, name="businesses", deadline=deadline)
    return daemon.state("businesses")[1]


@pytest.mark.sanitize
def test_names_are_told_as_the_platform_shows_them(daemon, database):
    a, b, c, d, e, missing = (uuid_of(i) for i in range(6))
    database.execute(f"INSERT INTO businesses VALUES ('{a}', 'Müller & Söhne', '+14155550101'), ('{b}', '', '+14155550102'), ('{c}', NULL, NULL), "
                     f"('{d}', 'Ring +1 (415) 555-0104 now', NULL), ('{e}', NULL, '(415) 555-0105')")
    odd = ["no id at all", a[:-1], "0" * 200]
    daemon.start(config(daemon, database.url, [a.upper(), a, b, c, d, e, missing, *odd]))
    wait_names(daemon, {a: "Müller & Söhne", a.upper(): "Müller & Söhne", b: "+1••••••0102", c: "Unknown Business",
                        d: "Ring +1•••••••••••0104 now", e: "(4••••••••0105", missing: None, **dict.fromkeys(odd)})
    assert daemon.state("businesses") == ("up", "looking up names")
    assert {row["as_of"][:10] for row in daemon.rows("asked")} <= {time.strftime("%Y-%m-%d", time.gmtime(time.time() - s)) for s in (0, 60)}


def test_full_numbers_are_told_where_they_may_be(daemon, database):
    database.execute(f"INSERT INTO businesses VALUES ('{uuid_of(1)}', NULL, '+14155550102')")
    text = config(daemon, database.url, [uuid_of(1)])
    daemon.start(text.replace("agent: {", "agent: { phones: full,"))
    wait_names(daemon, {uuid_of(1): "+14155550102"})
    daemon.stop()
    daemon.start(text)
    wait_names(daemon, {uuid_of(1): "+1••••••0102"})
    kept = (daemon.folder / "state/businesses/names")
    daemon.stop()
    assert b"5550102" not in kept.read_bytes()


def test_200000_names_are_found_by_the_index(daemon, database):
    database.fill(200000)
    database.execute("ANALYZE businesses")
    asked = [uuid_of(i) for i in range(0, 200000, 67)]

    def scans():
        return [int(n) for n in database.execute("SELECT seq_scan, idx_scan FROM pg_stat_user_tables WHERE relname = 'businesses'").split("|")]

    before = scans()
    daemon.start(config(daemon, database.url, asked))
    wait_for(lambda: daemon.total("asked") == len(asked), 30, what="all names")
    assert all(row["name"] == f"Business {int(row['key'][-12:], 16)}" for row in daemon.rows("asked"))
    daemon.stop()
    wait_for(lambda: scans()[1] > before[1], 15, what="the statistics")
    assert scans()[0] == before[0], "it read the whole table"
    plan = database.execute("PREPARE q AS SELECT left(k::text, 256), left(v::text, 1024) FROM (" + default_sql() + ") AS names (k, v) LIMIT 4100; "
                            "EXPLAIN EXECUTE q('{" + ",".join(asked[:1000]) + "}')")
    assert "businesses_pkey" in plan and "Seq Scan" not in plan, plan


def default_sql():
    described = subprocess.run([harness.BIN / "callwatch", "plugins", f"{BUILD}/plugins/postgres-lookup.so"], capture_output=True, text=True).stdout
    return re.search(r"default (SELECT .*)", described)[1]


def test_names_are_asked_for_in_batches_and_remembered(daemon, database):
    database.fill(3000)
    daemon.start(config(daemon, database.url, map(uuid_of, range(3000)), ", ttl: 1h", ", again: true"))
    wait_for(lambda: daemon.total("asked") == 3000, 15, what="all names")
    first = {row["key"]: row["answers"] for row in daemon.rows("asked")}
    wait_for(lambda: all(row["answers"] > first[row["key"]] for row in daemon.rows("asked")), what="to be answered again")
    queries = int(database.server.execute(f"SELECT xact_commit FROM pg_stat_database WHERE datname = '{database.name}'"))
    assert queries < 100, "it does not ask one by one, nor again"


def test_renamed_business_is_seen_once_its_time_is_over(daemon, database):
    database.fill(1)
    daemon.start(config(daemon, database.url, [uuid_of(0), uuid_of(1)], ", ttl: 1s, negative_ttl: 1s", ", again: true"))
    wait_names(daemon, {uuid_of(0): "Business 0", uuid_of(1): None})
    database.execute("UPDATE businesses SET business_name = 'Renamed'")
    database.fill(1, first=1)
    wait_names(daemon, {uuid_of(0): "Renamed", uuid_of(1): "Business 1"})
    database.execute("DELETE FROM businesses")
    wait_names(daemon, {uuid_of(0): None, uuid_of(1): None})


@pytest.mark.sanitize
def test_fault_27_server_down_and_names_stay(daemon, server, database):
    database.fill(2)
    text = config(daemon, database.url, map(uuid_of, range(3)), ", ttl: 1s", ", again: true")
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0", uuid_of(1): "Business 1", uuid_of(2): None})
    server.stop()
    reason = wait_down(daemon, "2 names known, the newest of 20")
    assert daemon.state("asker")[0] == "up"
    assert names(daemon)[uuid_of(0)] == "Business 0"
    daemon.stop()
    kept = daemon.folder / "state/businesses/names"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600 and stat.S_IMODE(kept.parent.stat().st_mode) == 0o700
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0", uuid_of(1): "Business 1"})
    assert reason.split("newest of")[1] in wait_down(daemon, "no such socket", "2 names known")
    assert uuid_of(2) not in names(daemon), "that there was no such business, once, is no answer"
    as_of = daemon.rows("asked")[0]["as_of"]
    server.start()
    daemon.wait_state("up", name="businesses")
    wait_for(lambda: daemon.rows("asked")[0]["as_of"] > as_of, what="the names to be asked for again")
    wait_names(daemon, {uuid_of(2): None})


def test_fault_27_server_thirty_seconds_slow(daemon, database, make_tool):
    database.fill(2)
    proxy = make_tool("proxy.py", "--to", f"127.0.0.1:{database.server.port}")
    port = proxy.url.rpartition(":")[2]
    daemon.start(config(daemon, database.tcp_url(port), [uuid_of(0), uuid_of(1)], ", ttl: 1s, statement_timeout: 500ms", ", again: true"))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    proxy.say("delay 30")
    wait_down(daemon, "no answer within 3", "2 names known")
    assert daemon.state("asker")[0] == "up" and names(daemon)[uuid_of(1)] == "Business 1"
    proxy.say("delay 0")
    proxy.say("rst")
    daemon.wait_state("up", name="businesses", deadline=30)


def test_fault_27_no_connection_is_left(daemon, server, database):
    database.fill(1)
    server.execute(f"ALTER ROLE {database.role} CONNECTION LIMIT 0")
    daemon.start(config(daemon, database.url, [uuid_of(0)]))
    wait_down(daemon, "too many connections", "(53300)", "no names known")
    server.execute(f"ALTER ROLE {database.role} CONNECTION LIMIT 5")
    wait_names(daemon, {uuid_of(0): "Business 0"}, deadline=20)


def test_fault_27_connection_is_ended_by_an_administrator(daemon, server, database):
    database.fill(2)
    daemon.start(config(daemon, database.url, [uuid_of(0)]))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    server.execute(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{database.name}'")
    wait_for(lambda: "terminating connection due to administrator command (57P01)" in daemon.stderr, what="its last words in the log")
    daemon.wait_state("up", name="businesses")


@pytest.mark.sanitize
def test_fault_28_locked_table_costs_one_statement_and_not_the_connection(daemon, database, folder):
    database.fill(2)
    daemon.start(config(daemon, database.url, [uuid_of(0), uuid_of(1)], ", ttl: 1s, statement_timeout: 300ms", ", again: true"))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    worker = database.backends()
    locker = database.session(folder, "BEGIN; LOCK TABLE businesses IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(1000)")
    try:
        wait_down(daemon, "longer than statement_timeout (57014)", "2 names known", state="degraded")
        assert daemon.state("asker")[0] == "up" and names(daemon)[uuid_of(1)] == "Business 1"
    finally:
        database.server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(1000)%' AND pid <> pg_backend_pid()")
        locker.end()
    daemon.wait_state("up", name="businesses")
    assert database.backends() == worker and len(worker) == 1


def test_fault_29_names_that_are_no_utf8(daemon, server):
    ascii, latin = Database(server, "SQL_ASCII"), Database(server, "LATIN1")
    key = uuid_of(1)
    ascii.execute(f"INSERT INTO businesses VALUES ('{key}', E'Caf\\xe9 \\xff'), ('{uuid_of(2)}', 'plain')")
    latin.execute(f"INSERT INTO businesses VALUES ('{key}', convert_from('\\x436166e9', 'LATIN1'))")
    daemon.start(config(daemon, ascii.url, [key, uuid_of(2)]))
    wait_names(daemon, {key: "Caf\ufffd \ufffd", uuid_of(2): "plain"})
    daemon.stop()
    daemon.start(config(daemon, latin.url, [key]))
    wait_names(daemon, {key: "Café"})


def test_fault_29_column_that_is_dropped_is_named(daemon, database):
    database.fill(2)
    daemon.start(config(daemon, database.url, [uuid_of(0), uuid_of(1)], ", ttl: 1s", ", again: true"))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    database.execute("ALTER TABLE businesses RENAME COLUMN business_name TO name")
    wait_down(daemon, 'column "business_name" does not exist (42703)', "write as `sql`", "2 names known")
    assert names(daemon)[uuid_of(1)] == "Business 1"
    database.execute("ALTER TABLE businesses RENAME COLUMN name TO business_name")
    daemon.wait_state("up", name="businesses", deadline=20)
    database.execute("ALTER TABLE businesses RENAME TO shops")
    wait_down(daemon, 'relation "businesses" does not exist (42P01)')


def test_fault_29_a_million_rows_are_not_taken(daemon, database):
    database.fill(2)
    sql = "SELECT id, repeat('x', 100000) FROM businesses, generate_series(1, 1000000) WHERE id = ANY($1::uuid[])"
    daemon.start(config(daemon, database.url, [uuid_of(0), uuid_of(5)], f", batch: 10, statement_timeout: 20s, sql: \"{sql}\""))
    wait_down(daemon, "gives more than 140 rows for 10 ids", state="degraded")
    rss = daemon.process.rss_kib()
    assert rss < 200000 * SLOWER, rss
    wait_names(daemon, {uuid_of(0): "x" * 1024})


def test_huge_name_and_null_id_are_bounded(daemon, database):
    database.execute(f"INSERT INTO businesses VALUES ('{uuid_of(0)}', repeat('ä', 30000000)), ('{uuid_of(1)}', 'plain')")
    sql = "SELECT NULL, 'nobody' UNION ALL SELECT id, business_name FROM businesses WHERE id = ANY($1::uuid[]) -- a comment;"
    daemon.start(config(daemon, database.url, [uuid_of(0), uuid_of(1)], f", statement_timeout: 20s, sql: \"{sql}\""))
    wait_names(daemon, {uuid_of(0): "ä" * 1024, uuid_of(1): "plain"})
    assert daemon.process.rss_kib() < 100000 * SLOWER


def test_ids_of_other_kinds_and_one_that_the_server_cannot_take(daemon, database, client):
    """Somebody's own sql that casts: what is no number is put aside alone."""
    database.execute("CREATE TABLE shops (id int PRIMARY KEY, title text); INSERT INTO shops SELECT i, 'Shop ' || i FROM generate_series(1, 50) i")
    database.execute(f"GRANT SELECT ON shops TO {database.role}")
    numbers = [str(i) for i in range(1, 50)]
    daemon.start(config(daemon, database.url, [*numbers, "seven", 'a"b\\c,{d}', "51"],
                        ", ids: text, sql: \"SELECT id, title FROM shops WHERE id = ANY($1::int[])\""))
    wait_names(daemon, {**{i: f"Shop {i}" for i in numbers}, "51": None})
    wait_for(lambda: daemon.instance("businesses")["malformed"] == 2, what="two to be put aside")
    assert daemon.state("businesses")[0] == "up" and not {"seven", 'a"b\\c,{d}'} & names(daemon).keys()
    assert "seven" not in daemon.stderr and "invalid input syntax" not in daemon.stderr
    assert client("doctor", "businesses").returncode == 0, "what the doctor asks is no id either"


def test_role_with_the_right_that_is_named_suffices_and_without_it_the_grant_is_told(daemon, database):
    database.fill(1)
    database.execute(f"REVOKE SELECT (id, business_name, primary_business_phone_number) ON businesses FROM {database.role}")
    daemon.start(config(daemon, database.url, [uuid_of(0)]))
    reason = wait_down(daemon, "permission denied for table businesses (42501)")
    grant = re.search(r"GRANT .* TO \w+", reason)[0]
    assert grant == NEED.replace("TO callwatch", f"TO {database.role}")
    database.execute(grant)
    wait_names(daemon, {uuid_of(0): "Business 0"}, deadline=20)
    assert NEED in subprocess.run([harness.BIN / "callwatch", "plugins", f"{BUILD}/plugins/postgres-lookup.so"], capture_output=True, text=True).stdout


def test_role_with_no_other_right_suffices_for_a_whole_life(daemon, server, database, client):
    """Nothing is PUBLIC's here. Start, doctor, names that are asked for again, a reload, a server that restarts, a kill: no other right is needed."""
    database.fill(3)
    database.execute(f"ALTER TABLE businesses ADD secret text; REVOKE ALL ON SCHEMA public FROM PUBLIC; REVOKE ALL ON DATABASE {database.name} FROM PUBLIC; "
                     f"GRANT CONNECT ON DATABASE {database.name} TO {database.role}; GRANT USAGE ON SCHEMA public TO {database.role}")
    text = config(daemon, database.url, [uuid_of(i) for i in range(3)], ", ttl: 1s", ", again: true")
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0"})
    rungs = json.loads(client("doctor", "businesses", "--format", "json").stdout)
    assert "broken" in rungs and not rungs["broken"], rungs
    database.execute(f"UPDATE businesses SET business_name = 'Renamed' WHERE id = '{uuid_of(0)}'")
    wait_names(daemon, {uuid_of(0): "Renamed", uuid_of(1): "Business 1"})
    daemon.configure(text.replace("ttl: 1s", "ttl: 2s"))
    assert client("reload").returncode == 0
    server.stop()
    wait_down(daemon, "see that it runs")
    server.start()
    daemon.wait_state("up", name="businesses", deadline=30)
    daemon.process.kill()
    daemon.start(text)
    database.execute(f"UPDATE businesses SET business_name = 'Again' WHERE id = '{uuid_of(2)}'")
    wait_names(daemon, {uuid_of(0): "Renamed", uuid_of(2): "Again"})
    assert "42501" not in daemon.stderr


def test_right_to_the_schema_is_told_when_that_is_what_is_missing(daemon, database):
    database.fill(1)
    database.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    daemon.start(config(daemon, database.url, [uuid_of(0)], ", sql: \"SELECT id, business_name FROM public.businesses WHERE id = ANY($1::uuid[])\""))
    wait_down(daemon, f"permission denied for schema public (42501): GRANT USAGE ON SCHEMA … TO {database.role}")


@pytest.fixture
def passwords(server):
    """Who is in pw_roles needs a password, who is in no_roles is turned away."""
    path = Path(server.data) / "pg_hba.conf"
    before = path.read_text()
    server.execute("CREATE ROLE pw_roles; CREATE ROLE no_roles")
    path.write_text("local all +pw_roles scram-sha-256\nlocal all +no_roles reject\n" + before)
    server.execute("SELECT pg_reload_conf()")
    yield
    path.write_text(before)
    server.execute("SELECT pg_reload_conf()")


def test_reasons_when_it_is_not_let_in(daemon, server, database, passwords):
    database.fill(1)
    server.execute("CREATE ROLE asks_pw LOGIN PASSWORD 'correct-horse' IN ROLE pw_roles; CREATE ROLE asks_no LOGIN IN ROLE no_roles")
    database.execute("GRANT SELECT ON businesses TO asks_pw")
    secret = daemon.folder / "secret"
    secret.write_text("wrong-battery\n")
    secret.chmod(0o600)

    def reloaded(database_name, user, *words, more=f", password_file: {secret}"):
        daemon.configure(config(daemon, server.socket_url(database_name, user), [uuid_of(0)], more))
        assert run_client(daemon, "reload").returncode == 0
        wait_down(daemon, *words)

    twice = f"postgresql:///{database.name}?host={server.sockets},{server.sockets}&port={server.port},{server.port}&user=asks_pw"
    daemon.start(config(daemon, twice, [uuid_of(0)], f", password_file: {secret}"))
    wait_down(daemon, 'password authentication failed for user "asks_pw" (28P01): the password is wrong')
    assert server.process.stderr.count('password authentication failed for user "asks_pw"') == 1, "no other host is tried with it: accounts may be locked"
    reloaded(database.name, "asks_pw", "password required: set password_file", more="")
    reloaded("nowhere", database.role, 'database "nowhere" does not exist (3D000)')
    reloaded(database.name, "nobody", 'role "nobody" does not exist (28000)')
    reloaded(database.name, "asks_no", "(28000): look at pg_hba.conf")
    secret.write_text("correct-horse\n")
    daemon.configure(config(daemon, server.socket_url(database.name, "asks_pw"), [uuid_of(0)], f", password_file: {secret}"))
    assert run_client(daemon, "reload").returncode == 0
    wait_names(daemon, {uuid_of(0): "Business 0"})
    shown = daemon.stderr + run_client(daemon, "config", "show").stdout + str(daemon.rows("instances")) + str(daemon.rows("events"))
    assert "correct-horse" not in shown and "wrong-battery" not in shown


def test_reasons_when_nobody_answers(daemon, folder, database, make_tool):
    cases = {f"postgresql://x@127.0.0.1:{harness.free_port()}/x": "connection refused (127.0.0.1:",
             f"postgresql:///x?host={folder}&user=x": f"no such socket ({folder})",
             "postgresql://x@nowhere.invalid/x": "no such host name (nowhere.invalid)"}
    daemon.start(config(daemon, next(iter(cases)), [uuid_of(0)]))
    for url, reason in cases.items():
        daemon.configure(config(daemon, url, [uuid_of(0)]))
        assert run_client(daemon, "reload").returncode == 0
        wait_down(daemon, reason)
    proxy = make_tool("proxy.py", "--to", f"127.0.0.1:{database.server.port}")
    proxy.say("blackhole")
    daemon.configure(config(daemon, database.tcp_url(proxy.url.rpartition(":")[2]), [uuid_of(0)]))
    assert run_client(daemon, "reload").returncode == 0
    wait_down(daemon, "no answer within 3 s (127.0.0.1:")
    proxy.say("refuse")
    proxy.say("pass")
    wait_down(daemon, "server closed the connection unexpectedly")


def test_second_host_is_tried_when_the_first_is_not_there(daemon, database):
    database.fill(1)
    url = f"postgresql://{database.role}@127.0.0.1:{harness.free_port()},127.0.0.1:{database.server.port}/{database.name}"
    daemon.start(config(daemon, url, [uuid_of(0)]))
    wait_names(daemon, {uuid_of(0): "Business 0"})


@pytest.fixture
def tls(server, folder):
    """The server speaks TLS, as localhost; gives the authority."""
    authority = Authority(folder)
    pem, key = authority.issue("server", "DNS:localhost")
    for name, path in (("server.crt", pem), ("server.key", key)):
        target = Path(server.data) / name
        target.write_bytes(path.read_bytes())
        target.chmod(0o600)
        if os.geteuid() == 0:
            harness.shutil.chown(target, "postgres", "postgres")
    server.settings["ssl"] = "on"
    server.restart()
    yield authority
    del server.settings["ssl"]
    server.restart()


def test_tls_as_the_url_says(daemon, database, tls, folder):
    database.fill(1)
    other = Authority(folder, "other")

    def url(host, more):
        return database.tcp_url(host=host, more=f"?hostaddr=127.0.0.1&sslmode={more}")

    daemon.start(config(daemon, url("localhost", f"verify-full&sslrootcert={tls.pem}"), [uuid_of(0)]))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    assert database.execute("SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE ssl AND application_name = 'callwatch'") == "1\n"
    for bad, words in ((url("db.example", f"verify-full&sslrootcert={tls.pem}"), ("TLS:", 'does not match host name "db.example"')),
                       (url("localhost", f"verify-ca&sslrootcert={other.pem}"), ("TLS:", "certificate verify failed")),
                       (url("localhost", f"verify-full&sslrootcert={folder}/none.pem"), ("TLS:", "sslrootcert=FILE"))):
        daemon.configure(config(daemon, bad, [uuid_of(0)]))
        assert run_client(daemon, "reload").returncode == 0
        wait_down(daemon, *words)


def test_tls_that_the_server_does_not_speak(daemon, database):
    daemon.start(config(daemon, database.tcp_url(more="?sslmode=require"), [uuid_of(0)]))
    wait_down(daemon, "TLS: server does not support SSL, but SSL was required")


def test_reload_of_the_lookup_alone_leaves_who_asks(daemon, database):
    database.fill(2)
    daemon.start(config(daemon, database.url, [uuid_of(0)], asker=", again: true"))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    database.execute("UPDATE businesses SET business_name = 'Renamed'")
    since = daemon.instance("asker")["since"]
    daemon.configure(config(daemon, database.url, [uuid_of(0)], ", ttl: 1s", asker=", again: true"))
    said = run_client(daemon, "reload").stdout
    assert "2 unchanged, 1 restarted (businesses)" in said, said
    wait_names(daemon, {uuid_of(0): "Renamed"})
    assert daemon.instance("asker")["since"] == since


def test_source_named_as_a_lookup_is_refused_with_its_place(daemon, database):
    text = config(daemon, database.url, []).replace("from: businesses", "from: web")
    done = harness.run_once(daemon.folder, text, "-t")
    assert done.returncode == 78 and re.search(r"once.yaml:3:28: from: `web` has the role frontend \(plugin web\), and a lookup is needed", done.stderr), done.stderr


def test_once_succeeds_only_with_a_server(folder, daemon, server, database):
    text = config(daemon, database.url, [uuid_of(0)])
    done = harness.run_once(folder, text, "--once", "--format", "json")
    assert done.returncode == 0 and '"lookup_names"' in done.stdout, done.stderr
    done = harness.run_once(folder, text.replace(f"port={server.port}", "port=1"), "--once")
    assert done.returncode == 1 and "no such socket" in done.stderr


def test_damaged_file_is_left_aside(daemon, database):
    database.fill(1)
    text = config(daemon, database.url, [uuid_of(0)])
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0"})
    daemon.stop()
    path = daemon.folder / "state/businesses/names"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0"})
    assert "state/businesses/names is left aside, names are asked for anew: it is damaged" in daemon.stderr
    daemon.stop()
    daemon.start(text)
    wait_for(lambda: "1 names are known from before" in daemon.stderr, what="the names of before")


def test_names_survive_a_kill(daemon, database):
    """What was written at the end of an earlier run is there; a file half made is in nobody's way."""
    database.fill(1)
    text = config(daemon, database.url, [uuid_of(0)])
    daemon.start(text)
    wait_names(daemon, {uuid_of(0): "Business 0"})
    daemon.stop()
    (daemon.folder / "state/businesses/names.new").write_text("half made")
    daemon.start(text)
    daemon.process.send(signal.SIGKILL)
    daemon.process.popen.wait()
    daemon.start(text.replace("name: businesses", "name: businesses, ttl: 1s").replace("asker, ", "asker, again: true, "))
    wait_names(daemon, {uuid_of(0): "Business 0"})
    as_of = daemon.rows("asked")[0]["as_of"]
    wait_for(lambda: daemon.rows("asked")[0]["as_of"] != as_of, what="the name to be asked for again")
    daemon.stop()
    assert sorted(os.listdir(daemon.folder / "state/businesses")) == ["names"]
