"""What must hold between the stores of a registration, as rules over what they say; pure, so that each rule has its test.

A registration that is not final yet is in flight: it is listed, not blamed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

FINAL: Final = frozenset({"CONFIRMED", "CANCELLED"})
AVAILABLE: Final = "AVAILABLE"


@dataclass(frozen=True)
class Registration:
    """A registration as the user centre has it; `member` is its member's status, None when there is none."""

    status: str
    member: str | None
    stuck: bool = False


@dataclass(frozen=True)
class Account:
    """A login account, and the claims that it must own; one of `staff` has no registration and no member."""

    status: str
    claims: frozenset[str]
    staff: bool = False


@dataclass
class Picture:
    """Both stores at about one moment."""

    registrations: dict[str, Registration] = field(default_factory=dict)
    accounts: dict[str, Account] = field(default_factory=dict)
    claims: dict[str, str] = field(default_factory=dict)  # value → owner

    def only(self, ids: Sequence[str]) -> "Picture":
        """What concerns these registrations."""
        wanted = set(ids)
        return Picture(
            {k: v for k, v in self.registrations.items() if k in wanted},
            {k: v for k, v in self.accounts.items() if k in wanted},
            {value: owner for value, owner in self.claims.items() if owner in wanted},
        )


@dataclass(frozen=True, order=True)
class Finding:
    """A rule that does not hold, and for which id."""

    rule: str
    id: str
    detail: str


def broken(picture: Picture) -> list[Finding]:
    """Every rule that does not hold, sorted."""
    found = [
        finding
        for which in picture.registrations.keys() | picture.accounts.keys()
        for finding in _registration(which, picture.registrations.get(which), picture.accounts.get(which))
    ]
    return sorted([*found, *_claims(picture)])


def in_flight(registrations: Mapping[str, Registration]) -> dict[str, Registration]:
    """The registrations that are not final."""
    return {which: r for which, r in sorted(registrations.items()) if r.status not in FINAL}


def _registration(which: str, registration: Registration | None, account: Account | None) -> list[Finding]:
    if registration is None and account is not None and account.staff:
        return []
    if registration is None:
        return [Finding("account_without_registration", which, f"account {account.status if account else '-'}, no registration")]
    member, standing = registration.member, account.status if account else None
    said = f"registration {registration.status}, member {member or 'none'}, account {standing or 'none'}"
    decided = registration.status in ("CONFIRMING", "CONFIRMED")
    rules = {
        "available_account_without_available_member": standing == AVAILABLE and not (decided and member == AVAILABLE),
        "confirmed_without_available_account": registration.status == "CONFIRMED" and standing != AVAILABLE,
        "confirmed_without_available_member": registration.status == "CONFIRMED" and member != AVAILABLE,
        "available_member_of_undecided_registration": member == AVAILABLE and not decided,
        "cancelled_with_member": registration.status == "CANCELLED" and member is not None,
        "cancelled_with_account": registration.status == "CANCELLED" and standing is not None,
    }
    return [Finding(rule, which, said) for rule, breaks in rules.items() if breaks]


def _claims(picture: Picture) -> list[Finding]:
    strays = [
        Finding("claim_without_account", owner, f"the claim {value.partition(':')[0]} is owned by an account that does not exist")
        for value, owner in picture.claims.items()
        if owner not in picture.accounts
    ]
    missing = [
        Finding("account_without_its_claim", which, f"the claim {value.partition(':')[0]} is {_owner(picture.claims.get(value))}")
        for which, account in picture.accounts.items()
        for value in account.claims
        if picture.claims.get(value) != which
    ]
    return strays + missing


def _owner(owner: str | None) -> str:
    return "nobody's" if owner is None else f"owned by {owner}"


def same(first: Sequence[Finding], second: Sequence[Finding]) -> list[Finding]:
    """What was found both times: the stores are read one after the other, and what was only passing is no finding."""
    again: set[Any] = {(finding.rule, finding.id) for finding in second}
    return [finding for finding in first if (finding.rule, finding.id) in again]
