"""Dead letters and what is stuck: shown as it is, redriven or skipped with an audit row, while workers run or not."""

import asyncio
import sqlite3
import uuid
from pathlib import Path
from typing import Any

import pytest

from bus.connect import connect
from bus.record import Headers, Record
from config import faults
from tests.integration.tools.conftest import NOW_MS, Folder, a_message, a_record, a_register, holding
from tests.integration.tools.test_trace import suspend
from topics import Confirm, Register

UNSAFE = "--unsafe-local"


def rows(folder: Folder, service: str, sql: str) -> list[Any]:
    """What a store says, by a connection of its own."""
    connection = sqlite3.connect(folder.path / f"{service}.db", timeout=5)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


def dead(folder: Folder, service: str = "users") -> list[tuple[str, str, str]]:
    """(id, reason, state) of every dead letter."""
    return rows(folder, service, 'SELECT id, reason, state FROM dead_letter ORDER BY "offset"')


def records(folder: Folder, topic: str = "users.commands") -> list[Record]:
    """Everything on a topic."""

    async def read() -> list[Record]:
        bus = connect(folder.settings.bus_url(), readonly=True)
        return await bus.read(topic, 0, 0)

    return asyncio.run(read())


def poisoned(folder: Folder, *poison: Any) -> None:
    """Poison between good commands, and the workers until all of it has been dealt with."""
    good = [str(uuid.uuid4()) for _ in range(2)]
    folder.append(a_register(good[0], "first"), *poison, a_register(good[1], "last"))
    folder.work_until(lambda: len(dead(folder)) == len(poison) and list(folder.statuses().values()) == ["CONFIRMED"] * 2)


def test_each_nothing_is_a_dead_letter_with_its_own_reason_and_look(folder: Folder) -> None:
    good = a_register(str(uuid.uuid4()))
    headers = good.headers
    poison = [
        a_record(None, headers=headers),
        a_record(b"", headers=headers),
        a_record(good.value, key=None, headers=headers),
        a_record(good.value, key=b"\xff\xfe", headers=headers),
        a_record(good.value),
        a_record(good.value, headers=(*headers, ("message-id", b"other"))),
        a_record(good.value, headers=(("message-id", b"a\n\x1b"), *headers[1:])),
    ]
    poisoned(folder, *poison)
    listed = folder.rows("dlq", "ls")
    assert [row["reason"] for row in listed] == [
        "no_value",
        "empty_value",
        "no_key",
        "unusable_key",
        "no_type",
        "ambiguous_header",
        "unusable_header",
    ]
    (none,) = folder.rows("dlq", "show", listed[0]["id"])
    (empty,) = folder.rows("dlq", "show", listed[1]["id"])
    assert (none["value_kind"], empty["value_kind"]) == ("null", "empty")
    (twice,) = folder.rows("dlq", "show", listed[5]["id"])
    assert [value for name, value in twice["headers"] if name == "message-id"][1] == "other"
    assert "s1.k1" not in folder.run("dlq", "show", listed[5]["id"]).out
    assert all(row["id"] in folder.run("dlq", "ls", "--table").out for row in listed)


ODD: Headers = (("x", b"1"), ("x", None), ("x", b"\xff"), ("编号", b""), ("message-id", b"nothing"))


@pytest.mark.parametrize("value", [b"\xff\x00\r\n", b"a\r\nb\xe2\x80\xa8c", b"bnVsbA==", b"", None])
@pytest.mark.parametrize("key", [b"k", None, b""])
def test_a_redriven_letter_is_the_same_but_for_its_message_id(folder: Folder, value: bytes | None, key: bytes | None) -> None:
    folder.append(a_record(value, key=key, headers=ODD, timestamp_ms=-1))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)
    (told,) = folder.rows("dlq", "redrive", letter, UNSAFE)
    folder.work_until(lambda: len(dead(folder)) == 2)
    first, second = records(folder)
    assert (second.key, second.value, second.timestamp_ms) == (key, value, -1)
    assert second.headers == (*ODD[:-1], ("message-id", told["redriven_as"].encode()))
    assert first.headers == ODD
    assert [state for _, _, state in dead(folder)] == ["redriven", "new"]
    traced = folder.run("trace", told["redriven_as"], "--json")
    assert traced.code == 0 and f"redriven as {told['redriven_as']}" in traced.out, "the id that redrive names is one that trace knows"


def test_headers_of_a_dead_letter_read_the_same_in_a_table_as_in_tail(folder: Folder) -> None:
    folder.append(a_record(b"{}", headers=(("名", b"1"), ("名", None), ("", b"\xff"), ("x", b""))))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)
    shown = folder.run("dlq", "show", letter, "--table").out
    assert '名="1"  名=<null>  <empty name>=<bytes ff>  x=<empty>' in shown


def test_a_mended_value_and_key_take_effect_and_who_did_it_is_written_down(folder: Folder, tmp_path: Path) -> None:
    good = a_register(str(uuid.uuid4()))
    folder.append(a_record(b"{", key=None, headers=good.headers))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)
    assert good.value is not None and good.key is not None
    (tmp_path / "mended.json").write_bytes(good.value)
    ran = folder.run(
        "dlq", "redrive", letter, "--value", str(tmp_path / "mended.json"), "--key", good.key.decode(), "--reason", "typo", UNSAFE
    )
    assert ran.code == 0
    assert "outbox of users" in ran.err
    folder.work_until(lambda: list(folder.statuses().values()) == ["CONFIRMED"])
    ((at_ms, principal, action, subject, reason),) = rows(folder, "users", "SELECT at_ms, principal, action, subject, reason FROM audit")
    assert principal.startswith("local:")
    assert (action, subject, reason) == ("dlq.redrive", letter, "typo")
    assert at_ms > NOW_MS - 10**12


async def test_a_running_worker_sends_what_was_redriven(folder: Folder) -> None:
    good = a_register(str(uuid.uuid4()))
    assert good.value is not None
    Path("mended.json").write_bytes(good.value)
    async with folder.working():
        await folder._append([a_record(b"{", key=good.key, headers=good.headers)])
        ((letter, *_),) = await asyncio.wait_for(holding(lambda: dead(folder)), 20)
        ran = await asyncio.to_thread(folder.run, "dlq", "redrive", letter, "--value", "mended.json", UNSAFE)
        assert ran.code == 0, ran.err
        await asyncio.wait_for(holding(lambda: list(folder.statuses().values()) == ["CONFIRMED"]), 20)


def test_a_skipped_letter_is_not_listed_any_more_and_cannot_be_redriven(folder: Folder) -> None:
    folder.append(a_record(b"{"))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)
    (told,) = folder.rows("dlq", "skip", letter, "--reason", "a test", UNSAFE)
    assert told == {"id": letter, "service": "users", "state": "skipped"}
    assert folder.rows("dlq", "ls") == []
    assert [row["state"] for row in folder.rows("dlq", "ls", "--all")] == ["skipped"]
    for again in (["redrive", letter], ["skip", letter, "--reason", "x"]):
        ran = folder.run("dlq", *again, UNSAFE)
        assert (ran.code, f"dead letter {letter} is skipped already" in ran.err) == (1, True)
    assert len(rows(folder, "users", "SELECT 1 FROM audit")) == 1


@pytest.mark.parametrize(
    "arguments", [["dlq", "show"], ["dlq", "redrive"], ["dlq", "skip"], ["stuck", "show"], ["stuck", "redrive"], ["stuck", "skip"]]
)
def test_an_id_that_is_not_there_is_a_sentence_that_says_where_to_look(folder: Folder, arguments: list[str]) -> None:
    more = [] if arguments[1] == "show" else [UNSAFE, "--reason", "x"]
    ran = folder.run(*arguments, "nothing", *more)
    assert ran.code == 1
    assert f"`lendbus {arguments[0]} ls" in ran.err


@pytest.mark.parametrize("point", ["operator.commit.before", "operator.commit.after"])
def test_a_crash_while_acting_leaves_all_of_it_or_nothing(folder: Folder, point: str) -> None:
    folder.append(a_record(b"{"))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)

    def crash(reached: str) -> None:
        if reached == point:
            raise faults.InjectedFault(point)

    with faults.installed(crash), pytest.raises(faults.InjectedFault):
        folder.run("dlq", "skip", letter, "--reason", "x", UNSAFE)
    done = point.endswith("after")
    assert [state for _, _, state in dead(folder)] == ["skipped" if done else "new"]
    assert len(rows(folder, "users", "SELECT 1 FROM audit")) == done


def test_a_suspended_actor_is_listed_with_its_queue_and_what_may_be_done(folder: Folder) -> None:
    actor = str(uuid.uuid4())
    suspend(folder, actor)
    (row,) = folder.rows("stuck", "ls")
    assert (row["id"], row["service"], row["kind"], row["queued"], row["reason"]) == (actor, "users", "actor", 1, "behaviour_raised")
    assert row["actions"] == ["redrive", "skip"]
    assert row["next_try"] is not None
    shown, queued = folder.rows("stuck", "show", actor)
    assert shown["error"] == "ValueError: broken"
    assert (queued["type"], queued["value"]["mobile"]) == (Register.type, "sealed")
    assert actor in folder.run("stuck", "ls", "--table").out


def stuck_for_good(folder: Folder, actor: str) -> None:
    """Suspended, its budget spent."""
    suspend(folder, actor)
    folder.execute("users", "UPDATE suspended SET next_ms = NULL, tries = 10")


def test_redriving_a_stuck_actor_runs_its_head_in_place(folder: Folder) -> None:
    actor = str(uuid.uuid4())
    stuck_for_good(folder, actor)
    assert folder.rows("stuck", "ls")[0]["state"] == "stuck"
    assert folder.rows("stuck", "redrive", actor, UNSAFE) == [{"id": actor, "service": "users", "state": "redriven"}]
    folder.work_until(lambda: folder.statuses() == {actor: "CONFIRMED"})
    assert folder.rows("stuck", "ls") == []
    assert rows(folder, "users", "SELECT action, subject FROM audit") == [("stuck.redrive", actor)]


def test_skipping_gives_up_the_head_and_frees_the_actor(folder: Folder) -> None:
    actor = str(uuid.uuid4())
    stuck_for_good(folder, actor)
    (told,) = folder.rows("stuck", "skip", actor, "--reason", "cannot be", UNSAFE)
    assert told["skipped"] == "users.commands/0@99"
    folder.work_until(lambda: not rows(folder, "users", "SELECT 1 FROM suspended"))
    assert folder.statuses() == {}
    assert rows(folder, "users", "SELECT action, reason FROM audit") == [("stuck.skip", "cannot be")]


async def test_a_running_worker_takes_up_an_actor_that_was_redriven(folder: Folder) -> None:
    actor = str(uuid.uuid4())
    await asyncio.to_thread(stuck_for_good, folder, actor)
    async with folder.working():
        ran = await asyncio.to_thread(folder.run, "stuck", "redrive", actor, UNSAFE)
        assert ran.code == 0, ran.err
        await asyncio.wait_for(holding(lambda: folder.statuses() == {actor: "CONFIRMED"}), 20)


def refused_row(folder: Folder, actor: str, partition: int = 0) -> None:
    """A row that the bus can never take, and its actor suspended for it."""
    record = a_message(Confirm(id=actor), actor)
    folder.append(a_record(b"{}"))  # users.commands has something in it
    headers = sqlite3.Binary(b"")
    folder.execute(
        "users",
        "INSERT INTO outbox(partition, actor, topic, key, value, headers, at_ms, refused) VALUES(?,?,?,?,?,?,?,?)",
        *(partition, actor, "no.such.topic", record.key, record.value, headers, NOW_MS, "unknown topic"),
    )
    folder.execute("users", "INSERT INTO suspended VALUES(?,0,'unsendable','unknown topic',10,NULL,?)", actor, NOW_MS)


def test_a_row_that_the_bus_refuses_is_listed_and_can_be_skipped(folder: Folder) -> None:
    actor = str(uuid.uuid4())
    refused_row(folder, actor)
    listed = folder.rows("stuck", "ls")
    assert [(row["kind"], row["id"]) for row in listed] == [("actor", actor), ("outbox row", actor)]
    (told,) = folder.rows("stuck", "skip", actor, "--reason", "gone", UNSAFE)
    assert told["skipped"].startswith("outbox row ")
    assert rows(folder, "users", "SELECT 1 FROM outbox") == []
    folder.work_until(lambda: not rows(folder, "users", "SELECT 1 FROM suspended"))


def test_a_spent_attempt_is_asked_again(folder: Folder) -> None:
    number = str(uuid.uuid4())
    folder.execute("accounts", "INSERT INTO attempt VALUES(?,'a',0,'bank',x'7b7d',30,NULL,'no answer','t','c',?)", number, NOW_MS)
    (row,) = folder.rows("stuck", "ls")
    assert (row["kind"], row["service"], row["actions"]) == ("attempt", "accounts", ["redrive"])
    assert folder.run("stuck", "skip", number, "--reason", "x", UNSAFE).code == 1
    folder.rows("stuck", "redrive", number, UNSAFE)
    ((tries, next_ms),) = rows(folder, "accounts", "SELECT tries, next_ms FROM attempt")
    assert tries == 0 and next_ms is not None
    assert folder.rows("stuck", "ls") == []


def test_a_stuck_registration_may_be_retried_and_nothing_else(folder: Folder) -> None:
    which = str(uuid.uuid4())
    folder.append(a_register(which))
    folder.work_until(lambda: folder.statuses().get(which) == "CONFIRMED")
    folder.execute("users", "UPDATE registration SET status = 'CONFIRMING', stuck = 1")
    (row,) = folder.rows("stuck", "ls")
    assert (row["kind"], row["actions"]) == ("registration", ["redrive"])
    refusal = folder.run("stuck", "skip", which, "--reason", "x", UNSAFE)
    assert refusal.code == 1
    assert "a decision never flips" in refusal.err
    folder.rows("stuck", "redrive", which, UNSAFE)
    folder.work_until(lambda: folder.statuses()[which] == "CONFIRMED")
    assert folder.rows("stuck", "ls") == []


def test_a_store_that_is_locked_is_a_sentence(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.append(a_record(b"{"))
    folder.work_until(lambda: dead(folder))
    ((letter, *_),) = dead(folder)
    monkeypatch.setattr("stores.sqlite.begin_when_free.__kwdefaults__", {"wait_s": 0.1, "stuck": None})
    holder = sqlite3.connect(folder.path / "users.db", isolation_level=None)
    try:
        holder.execute("BEGIN IMMEDIATE")
        monkeypatch.setattr("stores.sqlite.immediate.__wrapped__.__kwdefaults__", {"wait_s": 0.1, "stuck": None})
        ran = folder.run("dlq", "skip", letter, "--reason", "x", UNSAFE)
    finally:
        holder.close()
    assert (ran.code, "cannot be written" in ran.err) == (1, True)
