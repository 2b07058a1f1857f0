"""Log-ins for those who work here: made through the accounts worker, audited, with a password that is shown once."""

import asyncio
import io
import sqlite3
from typing import Any

import pytest

from agents.runtime.sealing import Keyring
from config import keys
from tests.integration.tools.conftest import Folder, Ran
from tools import admin

UNSAFE = "--unsafe-local"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENDBUS_ARGON2_TIME_COST", "1")
    monkeypatch.setenv("LENDBUS_ARGON2_MEMORY_KIB", "8192")


async def made(folder: Folder, *arguments: str) -> Ran:
    """The command, while the accounts worker runs."""
    async with folder.working(["accounts"]):
        return await asyncio.to_thread(folder.run, "admin", "create", *arguments)


def rows(folder: Folder, sql: str) -> list[Any]:
    connection = sqlite3.connect(folder.path / "accounts.db", timeout=5)
    try:
        return connection.execute(sql).fetchall()
    finally:
        connection.close()


async def test_a_log_in_is_made_and_its_password_shown_once(folder: Folder) -> None:
    ran = await made(folder, "Aud_One", "--role", "auditor", UNSAFE)
    assert ran.code == 0, ran.err
    (said,) = ran.rows
    assert (said["login_name"], said["role"]) == ("Aud_One", "auditor")
    assert len(said["password"]) >= 20
    ((name, role, status, mobile, sealed),) = rows(folder, "SELECT login_name, role, status, mobile, password_hash FROM account")
    assert (name, role, status, mobile) == ("aud_one", "auditor", "AVAILABLE", "")
    ring = Keyring.from_keys(keys.load_or_create(folder.settings.key_path(), may_generate=False))
    assert ring.open(sealed, field="password_hash").startswith("$argon2id$")
    assert said["password"] not in (folder.path / "bus.db").read_bytes().decode("latin-1")
    ((principal, action, subject),) = rows(folder, "SELECT principal, action, subject FROM audit")
    assert principal.startswith("local:")
    assert (action, subject) == ("tell accounts.CreateStaff", said["id"])
    assert await asyncio.to_thread(lambda: folder.run("check").code) == 0


async def test_a_password_may_come_by_standard_input_and_is_not_printed(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("one two three four\n"))
    ran = await made(folder, "op_two", "--role", "operator", "--password-stdin", UNSAFE)
    assert ran.code == 0, ran.err
    assert "password" not in ran.rows[0]


async def test_a_name_that_is_taken_is_refused_and_the_owner_stays(folder: Folder) -> None:
    assert (await made(folder, "aud", "--role", "auditor", UNSAFE)).code == 0
    ran = await made(folder, "AUD", "--role", "operator", UNSAFE)
    assert (ran.code, "is taken" in ran.err) == (1, True)
    assert rows(folder, "SELECT role FROM account") == [("auditor",)]


async def test_only_two_administrators_are_made_like_this(folder: Folder) -> None:
    for name in ("adm_one", "adm_two"):
        assert (await made(folder, name, "--role", "administrator", UNSAFE)).code == 0
    ran = await made(folder, "adm_three", "--role", "administrator", UNSAFE)
    assert (ran.code, "there are 2 administrators" in ran.err) == (1, True)


async def test_without_a_worker_it_says_that_it_is_made_later(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admin, "MADE_WITHIN_S", 0.1)
    ran = await asyncio.to_thread(folder.run, "admin", "create", "aud", "--role", "auditor", UNSAFE)
    assert (ran.code, "does the accounts worker run?" in ran.err) == (1, True)
    async with folder.working(["accounts"]):
        for _ in range(500):
            if rows(folder, "SELECT 1 FROM account"):
                break
            await asyncio.sleep(0.01)
    assert rows(folder, "SELECT login_name, status FROM account") == [("aud", "AVAILABLE")]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["aud", "--role", "auditor"], "say --unsafe-local"),
        (["aud", "--role", "borrower", UNSAFE], "--role is one of auditor, operator, administrator"),
        (["aud", UNSAFE], "--role is one of"),
        (["13800000000", "--role", "auditor", UNSAFE], "mobile"),
    ],
)
def test_what_is_not_acceptable_is_a_sentence(folder: Folder, arguments: list[str], says: str) -> None:
    ran = folder.run("admin", "create", *arguments)
    assert (ran.code, says in ran.err) == (2, True), ran.err
    assert rows(folder, "SELECT count(*) FROM account") == [(0,)]
