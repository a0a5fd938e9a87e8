# SPDX-License-Identifier: MIT
"""What the table `calls` should show: reads Redis on its own and follows the platform's formats field by field.

Deliberately written without a look at the plugin's way of doing it: SCAN, TYPE, then HGET of each field and GET; times by Python's datetime. Where time passes between
the two readings, a value is a range, and a health a set of possible words.
"""

import math
import re
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

SID_MAX, FIELD_MAX, HEARTBEAT_MAX = 128, 256, 64
EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
COLUMNS = {"business_id": b"business_id", "from_phone": b"from_phone_number", "to_phone": b"to_phone_number", "call_log_id": b"call_log_id"}
TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)(?:[Tt ](\d\d):(\d\d)(?::(\d\d)(?:[.,](\d+))?)?([Zz]|[+-]\d\d(?::?\d\d)?)?)?$")
UNIX = re.compile(r"-?\d{1,18}(\.\d+)?$")


def utf8(data):
    """Each byte that is not part of a valid sequence is U+FFFD, NUL is U+2400."""
    out, i = [], 0
    while i < len(data):
        for n in (1, 2, 3, 4):
            try:
                out.append(data[i:i + n].decode())
                i += n
                break
            except UnicodeDecodeError:
                continue
        else:
            out.append("\ufffd")
            i += 1
    return "".join(out).replace("\0", "\u2400")


def mask(number):
    """All but the first two and the last four characters; short ones wholly."""
    if number is None:
        return None
    return "\u2022" * len(number) if len(number) <= 8 else number[:2] + "\u2022" * (len(number) - 6) + number[-4:]


def sid_is_valid(sid):
    try:
        text = sid.decode()
    except UnicodeDecodeError:
        return False
    return 0 < len(sid) <= SID_MAX and not any(ord(c) < 32 or ord(c) == 127 for c in text)


def parse_time(text):
    """Seconds since 1970 as a float, or None. Without an offset it is UTC; a leap second is the next one."""
    found = TIME.match(text)
    if not found:
        return None
    year, month, day, hour, minute, second = (int(g or 0) for g in found.groups()[:6])
    fraction, zone = found[7] or "0", found[8] or "Z"
    leap = second == 60
    try:
        moment = datetime(year, month, day, hour, minute, 59 if leap else second, tzinfo=timezone.utc)
    except ValueError:
        return None
    if not 1678 <= year <= 2261:
        return None
    if zone not in "Zz":
        digits = zone[1:].replace(":", "").ljust(4, "0")
        if int(digits[:2]) > 23 or int(digits[2:]) > 59:
            return None
        offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
        moment += offset if zone[0] == "-" else -offset
    seconds = (moment - EPOCH).total_seconds()
    return seconds + 1 if leap else seconds + float("0." + fraction[:9])


def parse_unix(value):
    if value is None or len(value) >= HEARTBEAT_MAX:
        return None
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return None
    if not UNIX.match(text):
        return None
    seconds = float(text)
    return seconds if -9214646400 <= seconds < 9214646400 else None  # the years 1678 to 2261


def stamp(seconds):
    """RFC 3339 UTC with milliseconds, as the API writes it."""
    if seconds is None:
        return None
    milliseconds = math.floor(seconds * 1000 + 5e-4)  # a double of now is exact to a quarter of a microsecond
    return (EPOCH + timedelta(milliseconds=milliseconds)).strftime("%Y-%m-%dT%H:%M:%S.") + f"{milliseconds % 1000:03d}Z"


@dataclass
class Call:
    sid: str
    columns: dict
    start: float | None
    heartbeat: float | None
    extra: dict = field(default_factory=dict)

    def ages(self, now, since):
        """Range of heartbeat_age_seconds at `now`; `since`: when callwatch may first have seen the call. None: no heartbeat."""
        if self.heartbeat is None:
            return None
        if self.heartbeat > now:  # a claim about the future is worth a sign of life when it was first read
            return 0.0, max(0.0, now - since)
        return now - self.heartbeat, now - self.heartbeat

    def healths(self, now, since, warning=60, stale=120, slack=3.0):
        """The words that are right at some moment within `slack` of now."""
        ages = self.ages(now, since)
        if ages is None:
            known = self.start is not None and self.start <= now
            words = {"warning"}
            if not known and now - since > stale - slack:
                words.add("stale")  # nobody knows how old the call is, but it has been watched for that long
            if known and now - self.start > stale - slack:
                words.add("stale")
                if now - self.start > stale + slack:
                    words.discard("warning")
            return words
        low, high = ages[0] - slack, ages[1] + slack
        words = set()
        if low < warning:
            words.add("healthy")
        if high >= warning and low < stale:
            words.add("warning")
        if high >= stale:
            words.add("stale")
        return words


def text_field(value):
    """None if it is missing, empty or too long to be shown."""
    return None if not value or len(value) > FIELD_MAX else utf8(value)


def ask(redis, commands):
    """Answers of commands that have nothing to do with each other; an error is an answer too."""
    pipe = redis.pipeline(transaction=False)
    for words in commands:
        pipe.execute_command(*words)
    return iter(pipe.execute(raise_on_error=False))


def read_some(redis, sids, extra):
    """The calls among these sids. Types first, then lengths, then what is not too long to be read."""
    names = [*COLUMNS.values(), b"start_time", *(n.encode() for n in extra.values())]
    types = ask(redis, (("TYPE", prefix + sid) for sid in sids for prefix in (b"call_ctx:", b"call_heartbeat:")))
    types = {sid: (next(types), next(types)) for sid in sids}
    sids = [sid for sid in sids if types[sid][0] == b"hash"]
    lengths = ask(redis, (words for sid in sids for words in (
        *(("HSTRLEN", b"call_ctx:" + sid, n) for n in names), ("STRLEN", b"call_heartbeat:" + sid))))
    lengths = {sid: ([next(lengths) for _ in names], next(lengths)) for sid in sids}

    def small(sid):
        yield from (n for n, length in zip(names, lengths[sid][0]) if length < 100000)

    values = ask(redis, (words for sid in sids for words in (
        *(("HGET", b"call_ctx:" + sid, n) for n in small(sid)),
        *((("GET", b"call_heartbeat:" + sid),) if types[sid][1] == b"string" and lengths[sid][1] < 10000 else ()))))
    for sid in sids:
        fields = {n: b"x" * 1000 for n in names} | {n: next(values) for n in small(sid)}
        beat = next(values) if types[sid][1] == b"string" and lengths[sid][1] < 10000 else None
        start = fields[b"start_time"] if len(fields[b"start_time"] or b"") <= FIELD_MAX else None
        yield Call(sid=utf8(sid), columns={c: text_field(fields[n]) for c, n in COLUMNS.items()},
                   start=parse_time(utf8(start)) if start and b"\0" not in start else None, heartbeat=parse_unix(beat),
                   extra={c: text_field(fields[n.encode()]) for c, n in extra.items()})


def read_all(redis, extra=None):
    """{sid: Call} of everything that Redis has now."""
    sids = {key[len(b"call_ctx:"):] for key in redis.scan_iter(match="call_ctx:*", count=1000)}
    sids = sorted(sid for sid in sids if sid_is_valid(sid))
    return {call.sid: call for i in range(0, len(sids), 1000) for call in read_some(redis, sids[i:i + 1000], extra or {})}


def read_sids(redis):
    return {utf8(key[len(b"call_ctx:"):]) for key in redis.scan_iter(match="call_ctx:*", count=5000)}


def read_names(postgres):
    """What each business is called, by its id: its name, else its number, masked as numbers are, else `Unknown Business`."""
    rows = postgres.rows("SELECT id, business_name, primary_business_phone_number AS phone FROM businesses")
    return {row["id"]: row["business_name"] or mask(row["phone"]) or "Unknown Business" for row in rows}


def near(value, low, high, slack):
    return value is not None and low - slack <= value <= high + slack


def differences(row, call, asked, answered, since, phones_full=False, slack=3.0, names=None, **limits):
    """What is wrong with a row, as sentences; empty: nothing. Asked and answered: Unix times around the answer. `names`: of businesses by
    id, if they are looked up."""
    wrong = []

    def expect(column, value):
        if row.get(column) != value:
            wrong.append(f"{call.sid}: {column} is {row.get(column)!r}, should be {value!r}")

    for column, value in call.columns.items():
        masked = column.endswith("_phone") and not phones_full
        expect(column, mask(value) if masked else value)
    for column, value in call.extra.items():
        expect(column, value)
    expect("business_name", (names or {}).get(call.columns["business_id"]))
    expect("start_time", stamp(call.start))
    expect("last_heartbeat", stamp(call.heartbeat))
    ages = [call.ages(t, since) for t in (asked, answered)]
    if ages[0] is None:
        expect("heartbeat_age_seconds", None)
    elif not near(row.get("heartbeat_age_seconds"), ages[0][0], ages[1][1], slack):
        wrong.append(f"{call.sid}: heartbeat_age_seconds is {row.get('heartbeat_age_seconds')}, should be in {ages}")
    if call.start is None:
        expect("duration_seconds", None)
    elif not near(row.get("duration_seconds"), max(0, asked - call.start), max(0, answered - call.start), slack):
        wrong.append(f"{call.sid}: duration_seconds is {row.get('duration_seconds')}, should be {asked - call.start}")
    words = call.healths(asked, since, slack=slack, **limits) | call.healths(answered, since, slack=slack, **limits)
    if row.get("health_status") not in words:
        wrong.append(f"{call.sid}: health_status is {row.get('health_status')}, should be in {sorted(words)}; "
                     f"age {ages[0]}, reason {row.get('health_reason')!r}")
    if not row.get("health_since"):
        wrong.append(f"{call.sid}: health_since is empty")
    return wrong


def compare(daemon, redis, since, extra=None, **options):
    """Reads both sides of something that stands still; all differences as sentences."""
    expected = read_all(redis, extra)
    asked = time.time()
    rows = {row["call_sid"]: row for row in daemon.rows("calls")}
    answered = time.time()
    wrong = [f"{sid!r}: in Redis, but not in the table" for sid in expected.keys() - rows.keys()]
    wrong += [f"{sid!r}: in the table, but not in Redis" for sid in rows.keys() - expected.keys()]
    for sid in expected.keys() & rows.keys():
        wrong += differences(rows[sid], expected[sid], asked, answered, since, **options)
    return wrong
