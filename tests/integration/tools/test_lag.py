"""`lag`, `groups` and `topics declare` on the embedded bus, with workers that have stopped and records that wait."""

import uuid

from tests.integration.tools.conftest import Folder, a_register
from tools.services import SERVICES

DONE, WAITS = (str(uuid.uuid5(uuid.NAMESPACE_URL, name)) for name in ("done", "waits"))


def test_what_waits_is_counted_in_records_and_has_an_age(folder: Folder) -> None:
    folder.registered(DONE)
    assert folder.run("lag", "--only-with-lag")[1:] == ("", "nobody is behind\n")
    folder.append(a_register(WAITS, "waiting"))
    (row,) = folder.rows("lag", "--only-with-lag")
    assert (row["group"], row["topic"], row["lag"], row["lag_counts"], row["note"]) == ("users", "users.commands", 1, "records", None)
    assert row["position"] + 1 == row["log_end"] and row["position_of"] == "store"
    assert 0 <= row["behind_ms"] < 600_000
    assert row["epoch"] >= 1 and row["member"] is None


def test_a_group_whose_worker_has_stopped_has_nobody_and_its_store_says_who_had_it(folder: Folder) -> None:
    folder.registered(DONE)
    rows = {row["group"]: row for row in folder.rows("groups")}
    assert rows.keys() == set(SERVICES)
    assert all((row["state"], row["lag"], row["unknown"], row["members"]) == ("has nobody", 0, 0, []) for row in rows.values())
    assert all([owner["partition"] for owner in row["owners"]] == [0] for row in rows.values())


def test_a_store_that_is_not_there_is_a_note_and_the_others_are_shown(folder: Folder) -> None:
    folder.registered(DONE)
    (folder.path / "accounts.db").unlink()
    rows = {row["group"]: row for row in folder.rows("lag")}
    assert (rows["accounts"]["lag"], "nothing here yet" in rows["accounts"]["note"]) == (None, True)
    assert (rows["users"]["lag"], rows["users"]["note"]) == (0, None)


def test_a_position_of_another_log_is_said(folder: Folder) -> None:
    folder.registered(DONE)
    folder.execute("users", "UPDATE position SET incarnation = 'another'")
    rows = {row["group"]: row for row in folder.rows("lag")}
    assert (rows["users"]["lag"], "another log" in rows["users"]["note"]) == (None, True)


def test_declaring_again_finds_everything_there(folder: Folder) -> None:
    assert {row["done"] for row in folder.rows("topics", "declare")} == {"was there"}
    assert {row["state"] for row in folder.rows("topics", "describe")} == {"as declared"}


def test_without_a_bus_nothing_is_made(folder: Folder) -> None:
    for command in (["topics", "declare"], ["topics", "describe"], ["lag"], ["groups"]):
        assert folder.run(*command, "--bus", "sqlite:///no/such.db").code == 2
    assert not (folder.path.parent / "no").exists()
