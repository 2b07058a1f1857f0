"""The ledger as a batch works on it: balances, holds, projects, authorizations, accounts, and the business date.

Double entry: a transfer takes from one account what it gives to another, so the journal sums to zero. No member's account and
not the fee's goes below zero. A posting is taken up whole or not at all. In memory; `bank.store` loads and saves it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bank.model import BID, CARD_NETWORK, Account, Authorization, Day, Hold, HoldState, Posting, Project, Transfer


class Overdrawn(Exception):
    """A posting would leave an account below zero: the behaviour must have looked before."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the journal: what was added to an account (negative: taken from it) by which request, and when."""

    request_no: str
    account: str
    amount_fen: int
    booked_date: str
    at_ms: int


@dataclass
class Books:
    """What a batch's requests may read, and what they have entered."""

    date: str | None = None
    balances: dict[str, int] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    projects: dict[str, Project] = field(default_factory=dict)
    authorizations: dict[tuple[str, str], Authorization] = field(default_factory=dict)  # custody_no, scope
    journal: list[Line] = field(default_factory=list)
    changed: set[tuple[str, str]] = field(default_factory=set)  # what kind of thing, its key

    def balance(self, account: str) -> int:
        """What stands on a ledger account."""
        return self.balances.get(account, 0)

    def available(self, custody_no: str) -> int:
        """What a member may dispose of."""
        return self.balance(f"available:{custody_no}")

    def person_has_account(self, person_lookup: str | None) -> bool:
        """Whether somebody with this identity number has one; of those that the batch was loaded for."""
        return any(account.person_lookup == person_lookup for account in self.accounts.values())

    def bids_of(self, project_no: str) -> list[Hold]:
        """The bids that are held for a project, by number."""
        found = [h for h in self.holds.values() if h.project_no == project_no and h.purpose == BID and h.state is HoldState.HELD]
        return sorted(found, key=lambda h: h.request_no)

    def authorization(self, custody_no: str, scope: str) -> Authorization | None:
        """What the member has authorized, if it has not expired on the business date."""
        found = self.authorizations.get((custody_no, scope))
        return found if found is not None and self.date is not None and found.expires_on >= self.date else None

    def apply(self, entries: Sequence[Posting]) -> None:
        """Take postings up, all or nothing. Raises Overdrawn."""
        for posting in entries:
            after = self._after(posting)
            for account, amount_fen in after.items():
                self.balances[account] = amount_fen
                self.changed.add(("balance", account))
            for entry in posting.entries:
                self._enter(posting, entry)

    def _after(self, posting: Posting) -> dict[str, int]:
        transfers = [entry for entry in posting.entries if isinstance(entry, Transfer)]
        after: dict[str, int] = {}
        for t in transfers:
            assert t.amount_fen > 0 and t.debit != t.credit, f"request {posting.request_no} transfers {t}"
            after[t.debit] = after.get(t.debit, self.balance(t.debit)) - t.amount_fen
            after[t.credit] = after.get(t.credit, self.balance(t.credit)) + t.amount_fen
        if short := [account for account, amount_fen in after.items() if amount_fen < 0 and account != CARD_NETWORK]:
            raise Overdrawn(f"request {posting.request_no} would overdraw {', '.join(sorted(short))}")
        return after

    def _enter(self, posting: Posting, entry: object) -> None:
        match entry:
            case Transfer():
                assert self.date is not None, "the bank's first day has been opened"
                for account, amount_fen in ((entry.debit, -entry.amount_fen), (entry.credit, entry.amount_fen)):
                    self.journal.append(Line(posting.request_no, account, amount_fen, self.date, posting.at_ms))
            case Account():
                self.accounts[entry.custody_no] = entry
                self.changed.add(("account", entry.custody_no))
            case Hold():
                self.holds[entry.request_no] = entry
                self.changed.add(("hold", entry.request_no))
            case Project():
                self.projects[entry.project_no] = entry
                self.changed.add(("project", entry.project_no))
            case Authorization():
                self.authorizations[entry.custody_no, entry.scope] = entry
                self.changed.add(("authorization", f"{entry.custody_no} {entry.scope}"))
            case Day():
                self.date = entry.date
                self.changed.add(("day", entry.date))


def sum_of(lines: Iterable[Line]) -> Mapping[str, int]:
    """What the journal's lines add up to, by account."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.account] = sums.get(line.account, 0) + line.amount_fen
    return sums


def with_hold(project: Project, hold: Hold, *, sign: int) -> Project:
    """The project with one hold more (1) or less (-1): a bid, or a repayment that is being collected."""
    return replace(project, holds=project.holds + sign, held_fen=project.held_fen + sign * hold.amount_fen)
