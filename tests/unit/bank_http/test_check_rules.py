"""What `lendbus bank check` holds the books to: each rule with the one break that it names (CASES M31)."""

from collections.abc import Callable
from types import SimpleNamespace as Row
from typing import Any

import pytest

from bank.check import MOVES, Books, broken
from bank.execution import KINDS

A, B = "available:61", "held:61"


def balance(account: str, fen: int, journal_fen: int | None = None) -> Any:
    return Row(account=account, amount_fen=fen, journal_fen=fen if journal_fen is None else journal_fen)


def request(no: str, kind: str, fen: int, status: str = "SUCCEEDED") -> Any:
    return Row(id=no, kind=kind, amount_fen=fen, status=status)


def entered(no: str, moved_fen: int, sum_fen: int = 0) -> Any:
    return Row(request_no=no, sum_fen=sum_fen, moved_fen=moved_fen)


def books() -> Books:
    """A member has paid in 1,000 fen, of which 300 are held for a project; another opening was refused."""
    return Books(
        balances=[balance(A, 700), balance("card_network", -1_000), balance(B, 300)],
        sets=[entered("r", 1_000), entered("h", 300)],
        requests=[
            request("o", "open_account", 0),
            request("r", "recharge", 1_000),
            request("h", "hold", 300),
            request("x", "recharge", 5, "REFUSED"),
            request("", "", 0, "CLOSED"),
        ],
        held=[Row(custody_no="61", held_fen=300)],
        projects=[Row(project_no="p", holds=1, held_fen=300, counted=1, counted_fen=300)],
    )


def test_books_that_hold_together_have_no_finding() -> None:
    assert broken(books()) == [] and broken(Books()) == []


def test_every_kind_says_what_it_moves() -> None:
    assert set(MOVES) == set(KINDS)


def _replace(name: str, at: int, value: Any) -> Callable[[Books], None]:
    return lambda of: getattr(of, name).__setitem__(at, value)


BREAKS: dict[str, tuple[Callable[[Books], None], set[tuple[str, str]]]] = {
    "a balance one more, the lines intact": (
        _replace("balances", 0, balance(A, 701, 700)),
        {("balance_is_not_its_lines", A), ("balances_are_not_zero", "ledger")},
    ),
    "a balance one less, the lines intact": (
        _replace("balances", 0, balance(A, 699, 700)),
        {("balance_is_not_its_lines", A), ("balances_are_not_zero", "ledger")},
    ),
    "two balances that even each other out": (
        lambda of: of.balances.__setitem__(slice(0, 2), [balance(A, 701, 700), balance("card_network", -1_001, -1_000)]),
        {("balance_is_not_its_lines", A), ("balance_is_not_its_lines", "card_network")},
    ),
    "a member below zero": (
        lambda of: of.balances.__setitem__(slice(0, 2), [balance(A, -1), balance("card_network", -299)]),
        {("below_zero", A)},
    ),
    "lines of an account without a balance": (
        lambda of: of.without_balance.append(Row(account="fee", journal_fen=7)),
        {("lines_without_balance", "fee")},
    ),
    "a line ten more": (_replace("sets", 0, entered("r", 1_010, 10)), {("set_is_not_zero", "r"), ("moved_is_not_the_amount", "r")}),
    "a line ten less": (_replace("sets", 0, entered("r", 1_000, -10)), {("set_is_not_zero", "r")}),
    "two sets that even each other out": (
        lambda of: of.sets.__setitem__(slice(0, 2), [entered("r", 1_001), entered("h", 299)]),
        {("moved_is_not_the_amount", "r"), ("moved_is_not_the_amount", "h")},
    ),
    "a set that is gone": (lambda of: of.sets.pop(0), {("moved_is_not_the_amount", "r")}),
    "entries of nobody": (lambda of: of.sets.append(entered("n", 5)), {("entries_without_request", "n")}),
    "entries of a refused request": (lambda of: of.sets.append(entered("x", 5)), {("entries_of_no_success", "x")}),
    "an opening that moved money": (
        lambda of: of.sets.append(entered("o", 5)),
        {("moved_is_not_the_amount", "o")},
    ),
    "a hold that is gone": (lambda of: of.held.clear(), {("held_is_not_its_holds", B)}),
    "a hold of somebody without held money": (
        lambda of: of.held.append(Row(custody_no="62", held_fen=1)),
        {("held_is_not_its_holds", "held:62")},
    ),
    "a project that counts one more": (
        _replace("projects", 0, Row(project_no="p", holds=2, held_fen=300, counted=1, counted_fen=300)),
        {("project_is_not_its_holds", "p")},
    ),
    "a project that counts another sum": (
        _replace("projects", 0, Row(project_no="p", holds=1, held_fen=301, counted=1, counted_fen=300)),
        {("project_is_not_its_holds", "p")},
    ),
}


@pytest.mark.parametrize("name", BREAKS)
def test_a_break_is_named_with_its_id(name: str) -> None:
    made = books()
    breaks, expected = BREAKS[name]
    breaks(made)
    found = broken(made)
    assert {(finding.rule, finding.id) for finding in found} == expected
    assert found == sorted(found) and all(finding.detail for finding in found)


def test_every_rule_has_its_break_here() -> None:
    rules = {
        "balance_is_not_its_lines", "below_zero", "lines_without_balance", "balances_are_not_zero", "set_is_not_zero",
        "entries_without_request", "entries_of_no_success", "moved_is_not_the_amount", "held_is_not_its_holds", "project_is_not_its_holds",
    }  # fmt: skip
    assert {rule for _, expected in BREAKS.values() for rule, _ in expected} == rules
