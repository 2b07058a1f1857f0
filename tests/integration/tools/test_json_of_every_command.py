"""One folder in which everything odd has happened, asked by every command: each line is one JSON value, each id leads on."""

import asyncio
import json
import re
import sqlite3
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bus.record import Headers, Outgoing
from tests.integration.tools.conftest import NOW_MS, Folder, a_record, a_register
from tests.integration.tools.test_trace import suspend

DONE, STUCK, NOBODY = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("done", "stuck", "nobody"))
HOSTILE = "a\u2028b\x1b[2J\u202e林🙂\x00"
HEADERS: Headers = (("message-id", b"1"), ("message-id", b"2"), ("", None), ("编号", b"\xff"), (HOSTILE, HOSTILE.encode()))
ODD: list[Outgoing] = [
    a_record(None, headers=HEADERS),
    a_record(b"", key=b""),
    a_record(b"\xff\xfe\r\n", key=b"\xff"),
    a_record(HOSTILE.encode(), key=None),
    a_record(b'{"amount_fen":18446744073709551617,"rate":1.0}', timestamp_ms=-1),
    a_record(b"aGVsbG8=", timestamp_ms=NOW_MS * 1000),
    a_record(b"[" * 3000, key=HOSTILE.encode()),
]
READS = {
    "topics ls": ["topics", "ls"],
    "topics describe": ["topics", "describe"],
    "topics acl": ["topics", "acl"],
    "topics acl --commands": ["topics", "acl", "--commands"],
    "groups": ["groups"],
    "lag": ["lag"],
    "tail": ["tail", "--from", "earliest"],
    "tail of a key": ["tail", "--key", DONE],
    "trace": ["trace", DONE],
    "trace of what is stuck": ["trace", STUCK],
    "stuck ls": ["stuck", "ls"],
    "stuck show": ["stuck", "show", STUCK],
    "dlq ls": ["dlq", "ls"],
    "dlq ls --all": ["dlq", "ls", "--all"],
    "check": ["check"],
    "settings": ["settings"],
    "doctor": ["doctor"],
}
WITH_IDS = ["trace", "trace of what is stuck", "stuck ls", "stuck show", "dlq ls --all", "check"]
OBEYED = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e]")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A platform with a registration that is done, an actor that is stuck, dead letters of every kind."""
    from config import keys

    made = Folder(tmp_path_factory.mktemp("odd") / "data", None)  # type: ignore[arg-type]  # nothing is printed here
    asyncio.run(made.make())
    keys.load_or_create(made.settings.key_path(), may_generate=True)
    made.append(a_register(DONE, "林小明"), *ODD)
    made.work_until(lambda: made.statuses().get(DONE) == "CONFIRMED" and len(letters(made.path)) == len(ODD))
    suspend(made, STUCK)
    return made.path


@pytest.fixture
def odd(place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Folder]:
    """That platform, which no reading changes."""
    monkeypatch.chdir(place.parent)
    before = {path.name: path.read_bytes() for path in place.iterdir() if path.suffix in (".db", ".json")}
    yield Folder(place, capsys)
    assert {path.name: path.read_bytes() for path in place.iterdir() if path.suffix in (".db", ".json")} == before


def letters(path: Path) -> list[str]:
    """The ids of the dead letters of users, by a connection of its own."""
    connection = sqlite3.connect(f"file:{path}/users.db?mode=ro", uri=True, timeout=5)
    try:
        return [which for (which,) in connection.execute('SELECT id FROM dead_letter ORDER BY "offset"')]
    finally:
        connection.close()


@pytest.mark.parametrize("line", READS.values(), ids=READS.keys())
def test_each_line_is_one_json_object_and_nothing_else_is_printed(odd: Folder, line: list[str]) -> None:
    ran = odd.run(*line, "--json")
    assert ran.code == 0, ran.err
    assert ran.out.endswith("\n") and len(ran.out.splitlines()) == ran.out.count("\n")
    assert all(type(json.loads(each)) is dict for each in ran.out.split("\n")[:-1])
    assert not OBEYED.search(ran.out)


@pytest.mark.parametrize("line", [READS[name] for name in WITH_IDS], ids=WITH_IDS)
def test_a_pipe_gets_the_same_as_json_asks_for(odd: Folder, line: list[str]) -> None:
    said, asked = odd.run(*line), odd.run(*line, "--json")
    assert said == asked


@pytest.mark.parametrize("columns", ["20", "80"])
@pytest.mark.parametrize("line", [READS[name] for name in WITH_IDS], ids=WITH_IDS)
def test_a_table_has_every_id_whole_and_nothing_that_a_terminal_obeys(
    odd: Folder, monkeypatch: pytest.MonkeyPatch, line: list[str], columns: str
) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    ran = odd.run(*line, "--table")
    assert ran.code == 0, ran.err
    assert not OBEYED.search(ran.out + ran.err)
    for row in odd.run(*line, "--json").rows:
        if row.get("id"):
            assert re.search(rf"(^|\s){row['id']}(\s|$)", ran.out, re.MULTILINE)


def test_every_id_that_a_list_prints_is_known_to_trace_and_to_show(odd: Folder) -> None:
    for command in ("stuck", "dlq"):
        listed = odd.rows(command, "ls")
        assert listed
        for row in listed[:3]:
            (story,) = odd.rows("trace", row["id"])
            assert story["id"] == row["id"]
            assert odd.rows(command, "show", row["id"])[0]["id"] == row["id"]


@pytest.mark.parametrize("number", range(len(ODD)))
def test_a_dead_letter_is_shown_as_the_log_shows_its_record(odd: Folder, number: int) -> None:
    (letter,) = odd.rows("dlq", "show", letters(odd.path)[number])
    (record,) = [
        r for r in odd.rows("tail", "users.commands", "--from", "earliest") if f"users.commands/0@{r['offset']}" == letter["where"]
    ]
    same = ("timestamp_ms", "time", "type", "key_kind", "key", "headers", "value_kind", "value")
    assert {name: letter[name] for name in same} == {name: record[name] for name in same}


def test_the_headers_of_a_dead_letter_are_those_that_were_sent(odd: Folder) -> None:
    (shown,) = odd.rows("dlq", "show", letters(odd.path)[0])
    assert shown["headers"] == [["message-id", "1"], ["message-id", "2"], ["", None], ["编号", {"hex": "ff"}], [HOSTILE, HOSTILE]]


def test_each_odd_record_is_dead_with_a_reason_and_none_stopped_the_good_one(odd: Folder) -> None:
    listed = odd.rows("dlq", "ls")
    assert len(listed) == len(ODD)
    assert all(row["reason"] and row["state"] == "new" for row in listed)
    assert odd.statuses() == {DONE: "CONFIRMED"}


def test_check_counts_what_waits_and_blames_nobody(odd: Folder) -> None:
    rows = {row["rule"]: row for row in odd.rows("check")}
    assert (rows["suspended_actors"]["result"], rows["suspended_actors"]["detail"]) == ("warn", "1 in users: lendbus stuck ls")
    assert (rows["dead_letters"]["result"], rows["dead_letters"]["detail"]) == ("warn", f"{len(ODD)} in users: lendbus dlq ls")
    assert rows["everything"]["detail"].startswith("1 registrations, 1 accounts, ")


def test_the_age_of_a_topic_is_of_the_last_append_whatever_its_records_say(odd: Folder) -> None:
    rows = {row["topic"]: row for row in odd.rows("topics", "ls")}
    assert rows["users.commands"]["records"] >= len(ODD) + 1
    assert 0 <= rows["users.commands"]["last_append_age_ms"] < 3_600_000
    assert rows["users.commands"]["last_append"].endswith(" ago")


@pytest.mark.parametrize("command", [["trace", NOBODY], ["dlq", "show", NOBODY], ["stuck", "show", NOBODY]], ids=" ".join)
def test_an_id_of_nobody_is_a_finding_that_names_it(odd: Folder, command: list[str]) -> None:
    ran = odd.run(*command, "--json")
    assert (ran.code, ran.out) == (1, "")
    assert NOBODY in ran.err and "lendbus" in ran.err


def test_settings_as_json_have_every_setting_with_its_variable(odd: Folder) -> None:
    rows = odd.rows("settings")
    assert [row["name"] for row in rows] == list(type(odd.settings).model_fields)
    assert all(row["variable"] == f"LENDBUS_{row['name'].upper()}" and row["description"] for row in rows)
    assert {row["name"]: row["value"] for row in rows}["data"] == str(odd.path)


ALWAYS: dict[str, set[str]] = {
    "tail": {"topic", "partition", "offset", "timestamp_ms", "key_kind", "key", "value_kind", "value", "headers", "odd_time"},
    "stuck ls": {"id", "service", "kind", "state", "reason", "tries", "since_ms", "actions"},
    "dlq ls": {"id", "service", "where", "reason", "detail", "state", "at_ms"},
    "check": {"result", "rule", "id", "detail"},
    "doctor": {"result", "subject", "found", "todo"},
    "trace": {"id", "trace", "steps", "waiting", "states"},
    "topics describe": {"topic", "state", "partitions", "partitions_declared", "retention_ms", "max_bytes", "differences"},
    "topics acl": {"principal", "resource", "name", "operations", "pattern", "why"},
    "groups": {"group", "state", "members", "standby", "generation", "topics", "partitions", "lag", "unknown", "owners", "note"},
    "lag": {"group", "topic", "partition", "position", "committed", "log_end", "lag", "lag_counts", "behind_ms", "member", "epoch", "note"},
    "topics ls": {"topic", "owner", "key", "partitions", "retention_ms", "producers", "consumers", "records", "last_append_ms"},
}


@pytest.mark.parametrize("name", ALWAYS)
def test_every_row_has_the_fields_that_a_program_asks_for(odd: Folder, name: str) -> None:
    rows: list[dict[str, Any]] = odd.rows(*READS[name])
    assert rows and all(ALWAYS[name] <= row.keys() for row in rows)
