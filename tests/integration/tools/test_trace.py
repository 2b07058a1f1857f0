import asyncio
import itertools
import uuid

import pytest

from agents.runtime import suspension
from agents.runtime.envelope import decode
from bus.record import Record
from stores.engine import Tx
from tests.integration.tools.conftest import NOW_MS, Folder, a_record, a_register, holding
from topics import BY_TYPE

HAPPY = ["users.Register", "accounts.Try", "accounts.Tried", "accounts.Confirm", "accounts.Confirmed"]


@pytest.fixture
def ids() -> list[str]:
    return [str(uuid.uuid4()) for _ in range(3)]


def test_a_registration_is_told_from_command_to_event_in_order(folder: Folder, ids: list[str]) -> None:
    folder.registered(*ids)
    (story,) = folder.rows("trace", ids[0])
    steps = story["steps"]
    assert [s["type"] for s in steps][:5] == HAPPY
    assert {s["type"] for s in steps[5:]} == {"users.MemberRegistered"}
    assert [(s["from"], s["to"]) for s in steps[:3]] == [("gateway", "users"), ("users", "accounts"), ("accounts", "users")]
    assert [s["at_ms"] for s in steps] == sorted(s["at_ms"] for s in steps)
    assert all(s["gap_ms"] == s["at_ms"] - before["at_ms"] for before, s in itertools.pairwise(steps))
    assert {(s["thing"], s["state"]) for s in story["states"]} == {
        ("registration", "CONFIRMED"),
        ("member", "AVAILABLE"),
        ("account", "AVAILABLE"),
    }
    assert story["waiting"] == []
    assert all(s["actor"] == ids[0] for s in steps[:5])


def test_every_message_id_of_the_story_leads_to_the_same_story(folder: Folder, ids: list[str]) -> None:
    folder.registered(*ids)
    (story,) = folder.rows("trace", ids[1])
    for step in story["steps"][:5]:
        (again,) = folder.rows("trace", step["message_id"])
        assert (again["trace"], again["steps"]) == (ids[1], story["steps"])


def test_what_nobody_has_read_yet_is_told_as_waiting(folder: Folder, ids: list[str]) -> None:
    folder.append(a_register(ids[0]))
    (story,) = folder.rows("trace", ids[0])
    assert [(s["type"], s["effect"]) for s in story["steps"]] == [("users.Register", "waits: users has not read it yet")]


def test_an_unfinished_registration_shows_its_timer_and_where_it_waits(folder: Folder, ids: list[str]) -> None:
    folder.append(a_register(ids[0]))
    folder.work_until(lambda: folder.statuses().get(ids[0]) == "TRYING", ["users"])
    (story,) = folder.rows("trace", ids[0])
    assert [s["type"] for s in story["steps"]] == ["users.Register", "accounts.Try"]
    assert "accounts has not read it yet" in story["steps"][1]["effect"]
    assert [(w["kind"], w["what"]) for w in story["waiting"]] == [("timer", "try_deadline: users.TryDeadline")]


def test_a_story_outlives_the_records_and_the_inbox(folder: Folder, ids: list[str]) -> None:
    folder.registered(ids[0])
    (before,) = folder.rows("trace", ids[0])
    for service in ("users", "accounts"):
        folder.execute(service, 'INSERT INTO seen SELECT trace, id, actor, partition, "offset", at_ms FROM inbox')
        folder.execute(service, "DELETE FROM inbox")
    (pruned,) = folder.rows("trace", ids[0])
    assert pruned["steps"] == before["steps"]
    (by_message,) = folder.rows("trace", before["steps"][2]["message_id"])
    assert by_message["trace"] == ids[0]


def test_a_record_that_is_another_one_now_is_not_told_as_this_one(folder: Folder, ids: list[str]) -> None:
    folder.registered(*ids)
    folder.execute("accounts", 'UPDATE inbox SET "offset" = "offset" + 1 WHERE trace = ?', ids[0])
    (story,) = folder.rows("trace", ids[0])
    assert any("gone from the bus" in s["effect"] and s["type"] is None for s in story["steps"])


def test_a_suspended_actor_and_its_parked_message_are_told(folder: Folder, ids: list[str]) -> None:
    folder.registered(ids[0])
    suspend(folder, ids[0])
    (story,) = folder.rows("trace", ids[0])
    (waits,) = (w for w in story["waiting"] if w["kind"] == "suspended")
    assert "1 queued (behaviour_raised): ValueError: broken" in waits["what"]


def suspend(folder: Folder, actor: str) -> None:
    """As the loop does it when a behaviour raises."""

    def work(tx: Tx) -> None:
        out = a_register(actor)
        record = Record(out.topic, 0, 99, NOW_MS, NOW_MS, out.key, out.value, out.headers)
        suspension.suspend(tx, actor, 0, reason="behaviour_raised", error="ValueError: broken", now_ms=NOW_MS)
        suspension.park(tx, [decode(record, BY_TYPE)], now_ms=NOW_MS)

    folder.write("users", work)


def test_a_dead_letter_leads_to_the_story_of_its_key(folder: Folder, ids: list[str]) -> None:
    folder.registered(ids[0])
    folder.append(a_record(b"{", key=ids[0].encode()))
    folder.work_until(lambda: bool(folder_dead(folder)), ["users"])
    (dead,) = folder_dead(folder)
    (story,) = folder.rows("trace", dead)
    assert story["trace"] == ids[0]
    assert [w["kind"] for w in story["waiting"]] == ["dead letter"]
    assert story["steps"][0]["type"] == "users.Register"


def folder_dead(folder: Folder) -> list[str]:
    """Ids of the dead letters of users, by a connection of its own."""
    import sqlite3

    connection = sqlite3.connect(folder.path / "users.db", timeout=5)
    try:
        return [row[0] for row in connection.execute("SELECT id FROM dead_letter")]
    finally:
        connection.close()


def test_odd_timestamps_and_hostile_text_do_not_end_the_story(folder: Folder, ids: list[str]) -> None:
    headers = (("trace-id", ids[0].encode()), ("type", b"evil\n;#x"))
    for odd_ms in (-1, 0, 10**17):
        folder.append(a_record(b"{}", topic="users.events", headers=headers, timestamp_ms=odd_ms))
        folder.append(a_record(b"{}", key=ids[0].encode(), headers=headers, timestamp_ms=odd_ms))
    ran = folder.run("trace", ids[0], "--mermaid")
    assert ran.code == 0
    assert len(ran.out.splitlines()) == ran.out.count("\n")
    assert ";" not in ran.out and "#" not in ran.out
    (story,) = folder.rows("trace", ids[0])
    assert sorted(s["said_ms"] for s in story["steps"]) == [-1, -1, 0, 0, 10**17, 10**17]


def test_the_diagram_has_an_arrow_a_message_and_a_note_a_state(folder: Folder, ids: list[str]) -> None:
    folder.registered(ids[0])
    lines = folder.run("trace", ids[0], "--mermaid").out.splitlines()
    assert lines[0] == "sequenceDiagram"
    assert "    gateway->>users: users.Register" in lines
    assert any(line.startswith("    accounts->>users: accounts.Tried (+") for line in lines)
    assert "    Note over users: registration CONFIRMED" in lines


def test_the_table_fits_a_terminal_and_names_the_day_on_standard_error(
    folder: Folder, ids: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.registered(ids[0])
    monkeypatch.setenv("COLUMNS", "80")
    ran = folder.run("trace", ids[0], "--table")
    assert max(map(len, ran.out.splitlines())) <= 80
    assert ids[0] in ran.out and "accounts.Confirm" in ran.out
    assert f"trace {ids[0]}, from 20" in ran.err


def test_an_id_that_nobody_knows_is_a_finding_not_a_crash(folder: Folder) -> None:
    ran = folder.run("trace", str(uuid.uuid4()))
    assert (ran.code, ran.out) == (1, "")
    assert "nothing is known of" in ran.err


async def test_a_story_can_be_told_while_the_workers_run(folder: Folder, ids: list[str]) -> None:
    async with folder.working():
        await folder._append([a_register(which, f"n{n}") for n, which in enumerate(ids)])
        await asyncio.wait_for(holding(lambda: len(folder.statuses()) == 3), 20)
        ran = await asyncio.to_thread(folder.run, "trace", ids[2])
    assert ran.code == 0
    assert ran.rows[0]["steps"][0]["type"] == "users.Register"
