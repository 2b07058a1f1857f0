"""What must hold in the bank's books, whatever is under way (`lendbus bank check`). Pure: rows in, findings out."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bank.model import CARD_NETWORK


class Finding(NamedTuple):
    """A rule that does not hold, and for what."""

    rule: str
    id: str
    detail: str


@dataclass
class Books:
    """The books as rows, of one moment (bank/queries.py says what each row has)."""

    balances: list[Any] = field(default_factory=list)
    without_balance: list[Any] = field(default_factory=list)
    sets: list[Any] = field(default_factory=list)
    requests: list[Any] = field(default_factory=list)
    held: list[Any] = field(default_factory=list)
    projects: list[Any] = field(default_factory=list)


MOVES = {  # kind → how many times its amount the positive lines of its set add up to
    "recharge": 1,
    "hold": 1,
    "release": 1,
    "confirm_loan": 1,
    "collect": 1,
    "confirm_repayment": 1,
    "open_account": 0,
    "authorize": 0,
    "establish_project": 0,
    "close_project": 0,
}


def broken(books: Books) -> list[Finding]:
    """Every rule that does not hold, sorted."""
    return sorted([*_balances(books), *_sets(books), *_holds(books), *_projects(books)])


def _balances(books: Books) -> Iterable[Finding]:
    """The journal sums to zero, adds up to the balances, and nobody but the outside world is below zero."""
    for row in books.balances:
        if row.amount_fen != row.journal_fen:
            said = f"its balance is {row.amount_fen} fen, its lines add up to {row.journal_fen}"
            yield Finding("balance_is_not_its_lines", row.account, said)
        if row.amount_fen < 0 and row.account != CARD_NETWORK:
            yield Finding("below_zero", row.account, f"{row.amount_fen} fen")
    for row in books.without_balance:
        yield Finding("lines_without_balance", row.account, f"its lines add up to {row.journal_fen} fen")
    if total := sum(row.amount_fen for row in books.balances):
        yield Finding("balances_are_not_zero", "ledger", f"all balances add up to {total} fen")


def _sets(books: Books) -> Iterable[Finding]:
    """What a request has entered sums to zero, belongs to a request that has succeeded, and is what that has moved."""
    entered = {row.request_no: row for row in books.sets}
    known = {row.id: row for row in books.requests}
    for number, row in entered.items():
        if row.sum_fen:
            yield Finding("set_is_not_zero", number, f"its lines add up to {row.sum_fen} fen")
        if number not in known:
            yield Finding("entries_without_request", number, f"{row.moved_fen} fen were moved under a number that nobody has put")
        elif known[number].status != "SUCCEEDED":
            yield Finding("entries_of_no_success", number, f"{row.moved_fen} fen were moved, the request is {known[number].status}")
    for number, request in known.items():
        if request.status != "SUCCEEDED":
            continue
        wanted = MOVES.get(request.kind, 0) * request.amount_fen
        moved = entered[number].moved_fen if number in entered else 0
        if moved != wanted:
            yield Finding("moved_is_not_the_amount", number, f"{request.kind} of {request.amount_fen} fen has moved {moved}")


def _holds(books: Books) -> Iterable[Finding]:
    """A member's held account is what his holds add up to."""
    held = {f"held:{row.custody_no}": row.held_fen for row in books.held}
    stands = {row.account: row.amount_fen for row in books.balances if row.account.startswith("held:")}
    for account in sorted(held.keys() | stands.keys()):
        if held.get(account, 0) != stands.get(account, 0):
            said = f"its holds add up to {held.get(account, 0)} fen, its balance is {stands.get(account, 0)}"
            yield Finding("held_is_not_its_holds", account, said)


def _projects(books: Books) -> Iterable[Finding]:
    """A project's count and sum are those of the holds that stand for it."""
    for row in books.projects:
        if (row.holds, row.held_fen) != (row.counted, row.counted_fen):
            said = f"it counts {row.holds} holds of {row.held_fen} fen, there are {row.counted} of {row.counted_fen}"
            yield Finding("project_is_not_its_holds", row.project_no, said)
