"""`lendbus check` on a platform that has played a whole story: clean as it is; in a copy each planted break is found, by its id.

The story is told once, in this process, with the bank in one of its own; every break is planted by SQL into a copy of its folder.
"""

import asyncio
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from config.settings import load
from tools import processes
from tools.demo import Outcome, _judged, _play, _started
from tools.demo_faults import Faults
from tools.picturing import of_money
from tools.rules import across, local
from tools.story.house import House

pytestmark = pytest.mark.timeout(150)
Break = Callable[["Copy"], str]


class Copy:
    """A copy of the played platform's folder, in which something may be spoilt."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def execute(self, store: str, sql: str, *values: Any) -> list[Any]:
        """Read or spoil by SQL; `bank/bank` is the bank's."""
        with closing(sqlite3.connect(self.path / f"{store}.db", isolation_level=None)) as c:
            return c.execute(sql, values).fetchall()

    def one(self, store: str, sql: str) -> str:
        """One id."""
        return str(self.execute(store, sql)[0][0])


@pytest.fixture(scope="session")
def played(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a platform on which the story was told, at rest."""
    folder = tmp_path_factory.mktemp("played") / "data"
    folder.mkdir(mode=0o700)
    settings = load(data=folder, port=0, bus="sqlite", db="sqlite", log_level="error", argon2_time_cost=1, argon2_memory_kib=8192)
    outcomes: list[Outcome] = []

    async def play(crew: Any) -> int:
        faults = Faults()
        house = await House.build(settings, faults.fate)
        try:
            outcome = await _started(crew, house, once=True)
            await _play(crew, house, faults, outcome)
            await _judged(house, outcome)
            outcomes.append(outcome)
            return 0
        finally:
            await house.close()

    processes.run(settings, play)
    (outcome,) = outcomes
    assert outcome.held, (outcome.ended, outcome.findings, outcome.unbalanced, [s for s in outcome.scenes if not s.held])
    return folder


@pytest.fixture
def copy(played: Path, tmp_path: Path) -> Copy:
    """A copy of it."""
    return Copy(Path(shutil.copytree(played, tmp_path / "data")))


@pytest.fixture
def check(copy: Copy, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Callable[[], tuple[int, str]]:
    """Runs the command on the copy; its exit code and what it has printed."""
    from tools import check as checks
    from tools import cli

    monkeypatch.setattr(checks, "AGAIN_S", 0.0)

    def run() -> tuple[int, str]:
        capsys.readouterr()
        code = cli.run(["check", "--data", str(copy.path), "--json"])
        return code, capsys.readouterr().out

    return run


def test_a_platform_that_has_played_its_story_is_clean_and_nothing_is_under_way(check: Callable[[], tuple[int, str]]) -> None:
    code, out = check()
    assert (code, "fail" in out, "in_flight" in out) == (0, False, False), out
    assert "2 loans, " in out
    assert "bank_not_here" not in out


def spoil(store: str, which: str, change: str) -> Break:
    """Find an id and change its row."""

    def plant(copy: Copy) -> str:
        found = copy.one(store, which)
        copy.execute(store, change, found)
        return found

    return plant


SHOP = "SELECT id FROM loan WHERE status = 'SETTLED'"
BREAKS: dict[str, Break] = {
    "accepted_over_amount": spoil("trading", SHOP, "UPDATE bid SET amount_fen = amount_fen + 1 WHERE loan = ? AND status = 'ACCEPTED'"),
    "accepted_sum_differs": spoil("trading", SHOP, "UPDATE loan SET accepted_fen = accepted_fen - 1 WHERE id = ?"),
    "plan_is_not_the_amount": spoil(
        "repayments", "SELECT id FROM plan", "UPDATE instalment SET principal_fen = principal_fen + 1 WHERE loan = ?"
    ),
    "shares_are_not_the_amount": spoil(
        "repayments", "SELECT id FROM plan", "UPDATE receivable SET principal_fen = 0 WHERE number = 2 AND loan = ?"
    ),
    "receivables_are_not_the_instalment": lambda copy: (
        spoil("repayments", "SELECT id FROM plan", "UPDATE receivable SET interest_fen = interest_fen + 1 WHERE number = 3 AND loan = ?")(
            copy
        )
        + "/3"
    ),
    "settled_before_its_plan": spoil("repayments", "SELECT id FROM plan", "UPDATE plan SET status = 'REPAYING' WHERE id = ?"),
    "order_ended_otherwise": spoil(
        "custody", "SELECT id FROM order_ WHERE status = 'SUCCEEDED' AND kind = 'hold'", "UPDATE order_ SET status = 'REFUSED' WHERE id = ?"
    ),
    "request_without_order": spoil("custody", "SELECT id FROM order_ WHERE kind = 'recharge'", "DELETE FROM order_ WHERE id = ?"),
    "order_unknown_at_the_bank": spoil("bank/bank", "SELECT id FROM request WHERE kind = 'recharge'", "DELETE FROM request WHERE id = ?"),
    "lent_bid_still_held": spoil(
        "bank/bank",
        "SELECT request_no FROM hold WHERE state = 'POSTED' AND purpose = 'bid'",
        "UPDATE hold SET state = 'HELD' WHERE request_no = ?",
    ),
    "ended_bid_still_held": spoil(
        "bank/bank", "SELECT request_no FROM hold WHERE state = 'RELEASED'", "UPDATE hold SET state = 'HELD' WHERE request_no = ?"
    ),
    "member_without_custody_account": spoil(
        "users", "SELECT id FROM member WHERE custody_no IS NOT NULL", "UPDATE member SET custody_no = '999' WHERE id = ?"
    ),
    "custody_account_without_member": lambda copy: (
        (
            copy.execute("bank/bank", "UPDATE account SET member_id = 'nobody' WHERE custody_no = (SELECT min(custody_no) FROM account)")
            and ""
        )
        or copy.one("bank/bank", "SELECT custody_no FROM account WHERE member_id = 'nobody'")
    ),
}


@pytest.mark.parametrize("rule", BREAKS)
def test_a_break_that_is_planted_in_a_copy_is_found_by_its_id(copy: Copy, check: Callable[[], tuple[int, str]], rule: str) -> None:
    which = BREAKS[rule](copy)
    code, out = check()
    assert code == 1
    assert f'"result": "fail", "rule": "{rule}", "id": "{which}"' in out.replace('":"', '": "').replace('","', '", "'), out


def test_what_is_taken_back_to_under_way_is_listed_and_not_blamed(copy: Copy, check: Callable[[], tuple[int, str]]) -> None:
    copy.execute("custody", "UPDATE order_ SET status = 'ACCEPTED' WHERE kind = 'confirm_repayment'")
    code, out = check()
    assert (code, out.count("confirm_repayment ACCEPTED")) == (0, 3), out


def test_the_picture_of_a_played_platform_has_everything_in_it(copy: Copy) -> None:
    picture = asyncio.run(of_money(load(data=copy.path, bus="sqlite", db="sqlite")))
    assert (len(picture.loans), len(picture.plans), picture.bank) == (2, 1, True)
    assert len(picture.accounts) == 4
    assert picture.requests.keys() == picture.orders.keys()
    assert [*local.broken(picture), *across.broken(picture)] == []
    assert across.in_flight(picture) == []
