"""What the rules look at: what every store says about money at about one moment, in plain values."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

FINAL_ORDERS: Final = frozenset({"SUCCEEDED", "REFUSED", "CLOSED"})


class Loan(NamedTuple):
    """A loan as trading has it; `accepted_fen` is the sum that it decides by."""

    id: str
    status: str
    amount_fen: int
    accepted_fen: int


class Bid(NamedTuple):
    """A bid as trading has it; its id is the request number of its hold at the bank."""

    id: str
    loan: str
    status: str
    amount_fen: int


class Plan(NamedTuple):
    """A plan as repayments has it, with the sums of what belongs to it; `busy`: a collection is under way."""

    id: str
    status: str
    amount_fen: int
    outstanding_fen: int
    bids_fen: int
    principal_fen: int
    pool_fen: int
    principal_paid_fen: int
    shares_principal_fen: int
    shares_interest_fen: int
    busy: bool = False

    @property
    def is_made(self) -> bool:
        """Every instalment and receivable of it is there."""
        return self.status in ("REPAYING", "SETTLED")


class Instalment(NamedTuple):
    """One instalment and the sums of its receivables (None: it has none): what is planned, and what is paid."""

    plan: str
    number: int
    planned_fen: tuple[int, int]  # principal, the investors' interest
    shares_fen: tuple[int | None, int | None]
    paid_fen: tuple[int, int]
    shares_paid_fen: tuple[int | None, int | None]


class Order(NamedTuple):
    """An instruction, as custody or as the bank has it."""

    id: str
    kind: str
    status: str
    amount_fen: int

    @property
    def is_final(self) -> bool:
        """Nothing changes any more."""
        return self.status in FINAL_ORDERS


class Hold(NamedTuple):
    """What the bank holds, or has held, under a request number; `left_fen` is what is still held."""

    id: str
    purpose: str  # bid or repayment
    left_fen: int


@dataclass
class Picture:
    """Everything. `bank`: the bank's data is here to be looked at; else nothing is said about it."""

    loans: dict[str, Loan] = field(default_factory=dict)
    bids: dict[str, Bid] = field(default_factory=dict)
    plans: dict[str, Plan] = field(default_factory=dict)
    instalments: list[Instalment] = field(default_factory=list)
    orders: dict[str, Order] = field(default_factory=dict)
    members: dict[str, str | None] = field(default_factory=dict)  # member → custody number
    requests: dict[str, Order] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    accounts: dict[str, str] = field(default_factory=dict)  # custody number → member
    bank: bool = False

    def bids_by_loan(self) -> Mapping[str, list[Bid]]:
        """Every loan's bids."""
        found: dict[str, list[Bid]] = defaultdict(list)
        for bid in self.bids.values():
            found[bid.loan].append(bid)
        return found


class Flight(NamedTuple):
    """Something that is under way and will be right when it has ended."""

    kind: str
    id: str
    detail: str
