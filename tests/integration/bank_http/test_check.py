"""`lendbus bank check` on the books of a bank that has lived, and on copies with one break each (CASES M31)."""

import asyncio
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.bank_http.world import BankWorld, number
from tools.cli import run


async def live(folder: Path) -> None:
    """A bank lives a loan and holds a bid for another one."""
    async with BankWorld(folder) as bank:
        borrower, investor = await bank.account(5_000, cap_fen=10**9), await bank.account(90_000, person=1)
        lent, raising = number(), number()
        for project, fen in ((lent, 20_000), (raising, 30_000)):
            await bank.do("establish_project", {"project_no": project, "custody_no": borrower, "amount_fen": fen})
            await bank.do("hold", {"project_no": project, "custody_no": investor, "amount_fen": fen}, page=True)
        await bank.do("confirm_loan", {"project_no": lent, "count": 1, "sum_fen": 20_000})
        await bank.do("collect", {"project_no": lent, "custody_no": borrower, "due_fen": 3_000, "valid_on": "2025-01-31"})
        await bank.do("hold", {"project_no": raising, "custody_no": investor, "amount_fen": 10**9}, page=True)


@pytest.fixture(scope="module")
def lived(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The data folder of a platform whose bank has lived and was stopped."""
    folder = tmp_path_factory.mktemp("lived")
    asyncio.run(live(folder))
    return folder


def checked(folder: Path, capsys: pytest.CaptureFixture[str]) -> tuple[int, list[tuple[str, str]]]:
    """The exit code of the command, and what it found."""
    code = run(["bank", "check", "--json", "--data", str(folder)])
    found = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert all(row["result"] == "fail" for row in found)
    return code, [(row["rule"], row["id"]) for row in found]


def copy_with(folder: Path, to: Path, *statements: str) -> Path:
    """A copy of the books in which something was changed by hand."""
    shutil.copytree(folder, to, dirs_exist_ok=True)
    with closing(sqlite3.connect(to / "bank" / "bank.db")) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement
        connection.commit()
    return to


def test_books_that_were_only_written_by_the_bank_hold_together(lived: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(lived, capsys) == (0, [])


FIRST = "SELECT min(id) FROM journal"
AVAILABLE = "SELECT account FROM balance WHERE account LIKE 'available:%' ORDER BY account LIMIT 1"


@pytest.mark.parametrize(
    ("statements", "rules"),
    [
        ([f"UPDATE journal SET amount_fen = amount_fen + 10 WHERE id = ({FIRST})"], {"set_is_not_zero", "balance_is_not_its_lines"}),
        ([f"UPDATE journal SET amount_fen = amount_fen - 10 WHERE id = ({FIRST})"], {"set_is_not_zero", "balance_is_not_its_lines"}),
        (
            [f"UPDATE balance SET amount_fen = amount_fen + 1 WHERE account = ({AVAILABLE})"],
            {"balance_is_not_its_lines", "balances_are_not_zero"},
        ),
        (
            [f"UPDATE balance SET amount_fen = amount_fen - 1 WHERE account = ({AVAILABLE})"],
            {"balance_is_not_its_lines", "balances_are_not_zero"},
        ),
        (
            [
                "UPDATE journal SET amount_fen = amount_fen + 1 WHERE id = (SELECT min(id) FROM journal WHERE amount_fen > 0)",
                "UPDATE journal SET amount_fen = amount_fen - 1 WHERE id = (SELECT max(id) FROM journal WHERE amount_fen > 0)",
            ],
            {"set_is_not_zero", "balance_is_not_its_lines"},
        ),
        (
            ["DELETE FROM journal WHERE request_no = (SELECT request_no FROM journal ORDER BY id LIMIT 1)"],
            {"moved_is_not_the_amount", "balance_is_not_its_lines"},
        ),
        (["UPDATE hold SET state = 'RELEASED' WHERE state = 'HELD'"], {"held_is_not_its_holds", "project_is_not_its_holds"}),
        (["UPDATE project SET held_fen = held_fen + 1"], {"project_is_not_its_holds"}),
        (["DELETE FROM balance WHERE account LIKE 'held:%'"], {"lines_without_balance", "held_is_not_its_holds", "balances_are_not_zero"}),
        (["UPDATE request SET status = 'REFUSED' WHERE kind = 'recharge'"], {"entries_of_no_success"}),
        (["DELETE FROM request WHERE kind = 'confirm_loan'"], {"entries_without_request"}),
    ],
)
def test_a_break_is_found_and_named(
    lived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], statements: list[str], rules: set[str]
) -> None:
    code, found = checked(copy_with(lived, tmp_path / "copy", *statements), capsys)
    assert code == 1 and rules <= {rule for rule, _ in found}
    assert all(name for _, name in found)


def test_the_set_is_named_by_its_request(lived: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with closing(sqlite3.connect(lived / "bank" / "bank.db")) as connection:
        (number_of_it,) = connection.execute("SELECT request_no FROM journal ORDER BY id LIMIT 1").fetchone()
    copied = copy_with(lived, tmp_path / "copy", f"UPDATE journal SET amount_fen = amount_fen + 1 WHERE id = ({FIRST})")
    assert ("set_is_not_zero", number_of_it) in checked(copied, capsys)[1]


def test_where_there_is_no_bank_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["bank", "check", "--data", str(tmp_path)]) == 2
    assert "bank.db" in capsys.readouterr().err
