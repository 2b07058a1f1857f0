"""`check` and `doctor` on real folders: each rule's break is planted in the stores."""

import asyncio
import uuid
from collections.abc import Callable

import pytest

from tests.integration.tools.conftest import Folder, a_register, holding
from tests.integration.tools.test_trace import suspend

Break = Callable[[Folder, str], object]

BREAKS: dict[str, Break] = {
    "available_account_without_available_member": lambda f, i: f.execute("users", "UPDATE member SET status='UNAVAILABLE' WHERE id=?", i),
    "confirmed_without_available_account": lambda f, i: f.execute("accounts", "UPDATE account SET status='UNAVAILABLE' WHERE id=?", i),
    "confirmed_without_available_member": lambda f, i: f.execute("users", "DELETE FROM member WHERE id=?", i),
    "available_member_of_undecided_registration": lambda f, i: f.execute("users", "UPDATE registration SET status='TRYING' WHERE id=?", i),
    "cancelled_with_member": lambda f, i: f.execute("users", "UPDATE registration SET status='CANCELLED' WHERE id=?", i),
    "cancelled_with_account": lambda f, i: f.execute("users", "UPDATE registration SET status='CANCELLED' WHERE id=?", i),
    "account_without_registration": lambda f, i: (
        f.execute("users", "DELETE FROM member WHERE id=?", i),
        f.execute("users", "DELETE FROM registration WHERE id=?", i),
    ),
    "claim_without_account": lambda f, i: f.execute("accounts", "DELETE FROM account WHERE id=?", i),
    "account_without_its_claim": lambda f, i: f.execute("accounts", "DELETE FROM claim WHERE owner=? AND value LIKE 'mobile:%'", i),
}


@pytest.fixture
def ids() -> list[str]:
    return sorted(str(uuid.uuid4()) for _ in range(3))


def test_a_platform_that_did_its_work_agrees_with_itself(folder: Folder, ids: list[str]) -> None:
    folder.registered(*ids)
    ran = folder.run("check")
    assert ran.code == 0
    assert "the stores agree" in ran.err
    everything, bank = ran.rows
    counted = "3 registrations, 3 accounts, 0 loans, 0 bids, 0 plans, 0 orders"
    assert everything == {"result": "ok", "rule": "everything", "id": None, "detail": counted}
    assert (bank["result"], bank["rule"]) == ("warn", "bank_not_here")


@pytest.mark.parametrize("rule", BREAKS)
def test_each_break_is_found_with_its_id_and_nothing_else_is_blamed(folder: Folder, ids: list[str], rule: str) -> None:
    folder.registered(*ids)
    BREAKS[rule](folder, ids[1])
    ran = folder.run("check")
    assert ran.code == 1
    findings = [row for row in ran.rows if row["result"] == "fail" and row["id"]]
    assert rule in {row["rule"] for row in findings}
    assert {row["id"] for row in findings} == {ids[1]}
    assert ids[1] in folder.run("check", "--table").out


def test_what_is_in_flight_is_listed_and_not_blamed(folder: Folder, ids: list[str]) -> None:
    folder.append(a_register(ids[0]))
    folder.work_until(lambda: folder.statuses().get(ids[0]) == "TRYING", ["users"])
    ran = folder.run("check")
    assert ran.code == 0
    assert next((r["rule"], r["id"], r["detail"]) for r in ran.rows) == ("in_flight", ids[0], "registration TRYING")


def test_suspended_actors_are_counted(folder: Folder, ids: list[str]) -> None:
    suspend(folder, ids[0])
    ran = folder.run("check")
    assert ran.code == 0
    assert [r["detail"] for r in ran.rows if r["rule"] == "suspended_actors"] == ["1 in users: lendbus stuck ls"]


async def test_a_platform_at_work_is_not_blamed(folder: Folder) -> None:
    async with folder.working():
        for n in range(5):
            await folder._append([a_register(str(uuid.uuid4()), f"n{n}_{m}") for m in range(20)])
            ran = await asyncio.to_thread(folder.run, "check")
            assert ran.code == 0, ran.out
        await asyncio.wait_for(holding(lambda: list(folder.statuses().values()) == ["CONFIRMED"] * 100), 20)


def lines(folder: Folder) -> dict[str, dict[str, str]]:
    """The doctor's findings by subject."""
    return {row["subject"]: row for row in folder.run("doctor").rows}


def test_a_fit_folder_has_no_failure(folder: Folder) -> None:
    from config import keys

    keys.load_or_create(folder.settings.key_path(), may_generate=True)
    ran = folder.run("doctor")
    assert ran.code == 0, ran.out
    assert {row["result"] for row in ran.rows} <= {"ok", "warn"}
    assert {"python", "libraries", "data folder", "key file", "bus file", "store users", "schema users", "port", "clock"} <= set(
        lines(folder)
    )


async def test_the_doctor_names_who_owns_each_group(folder: Folder) -> None:
    import os

    async with folder.working():
        found = await asyncio.to_thread(lines, folder)
    assert found["group users"]["result"] == "ok"
    assert f"pid {os.getpid()} on " in found["group users"]["found"]


def test_a_store_of_another_version_is_a_failure_with_its_remedy(folder: Folder) -> None:
    folder.execute("users", "UPDATE alembic_version SET version_num='users_9999' WHERE version_num LIKE 'users%'")
    line = lines(folder)["schema users"]
    assert line["result"] == "fail"
    assert "run the version that wrote the store" in line["todo"]


def test_an_older_store_is_brought_up_to_date_by_the_next_start(folder: Folder) -> None:
    folder.execute("users", "DELETE FROM alembic_version WHERE version_num LIKE 'users%'")
    assert lines(folder)["schema users"]["result"] == "warn"


def test_stores_without_their_key_file_are_not_fit(folder: Folder) -> None:
    folder.settings.key_path().unlink()
    ran = folder.run("doctor")
    assert ran.code == 1
    assert "not fit: key file" in ran.err


def test_a_damaged_store_is_a_line_not_a_crash(folder: Folder) -> None:
    (folder.path / "users.db").write_bytes(b"this is no database" * 1000)
    assert lines(folder)["schema users"]["result"] == "fail"
    for command in (["stuck", "ls"], ["check"], ["trace", "x"]):
        ran = folder.run(*command)
        assert ran.code == 2
        assert "cannot be read" in ran.err
