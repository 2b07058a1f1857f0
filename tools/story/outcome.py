"""What a told story has come to, without ids and times, so that a disturbed telling can be compared with an undisturbed one.

Everything in it is text or whole fen: two tellings are alike when the two objects are equal, and `differences` names what is not.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from tools.story.play import Story

PLATFORM: Final = "platform"  # whose account gets the fees


class Balance(NamedTuple):
    """What an account at the bank has, in fen."""

    available_fen: int
    held_fen: int


# Asks the bank for the balances of these custody accounts, and of the platform's own under `PLATFORM`.
Balances = Callable[[Sequence[str]], Awaitable[Mapping[str, Balance]]]


@dataclass(frozen=True)
class Outcome:
    """How everything stands at the end."""

    scenes: tuple[str, ...]
    states: Mapping[str, str]
    balances: Mapping[str, Balance]
    plan: tuple[Mapping[str, Any], ...]
    bids: Mapping[str, tuple[str, ...]]  # of each loan, in the order in which they were placed
    shares: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """One object."""
        return {
            "scenes": list(self.scenes),
            "states": dict(self.states),
            "balances": {name: balance._asdict() for name, balance in self.balances.items()},
            "plan": [dict(row) for row in self.plan],
            "bids": {name: list(bids) for name, bids in self.bids.items()},
            "shares": list(self.shares),
        }


async def outcome(story: Story, balances: Balances, fees_before_fen: int = 0) -> Outcome:
    """How a story has ended: what its people see over HTTP, and their accounts at the bank."""
    loans = {name: (await story.http.get(f"/api/v1/loans/{which}", story.cast.borrower)).said for name, which in story.loans.items()}
    members = {p.part: (await story.http.get("/api/v1/me", p)).said for p in story.cast.everybody}
    accounts = {part: said["custody_no"] for part, said in members.items() if said.get("custody_no")}
    had = await balances(list(accounts.values()))
    by_part = {part: had[number] for part, number in accounts.items()}
    by_part[PLATFORM] = Balance(had[PLATFORM].available_fen - fees_before_fen, had[PLATFORM].held_fen)
    return Outcome(
        scenes=tuple(scene.told for scene in story.scenes),
        states={**{name: str(said.get("status")) for name, said in loans.items()}, **{p: str(m.get("status")) for p, m in members.items()}},
        balances=by_part,
        plan=tuple(_instalment(row) for row in (await story.plan())["instalments"]),
        bids={name: await _bids(story, name, members) for name in story.loans},
        shares=await _shares(story, members),
    )


_OF_INSTALMENT: Final = ("number", "principal_fen", "interest_fen", "fee_fen", "paid_fen", "status")
_OF_SHARE: Final = ("number", "principal_fen", "interest_fen", "paid_fen", "status")


def _instalment(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in _OF_INSTALMENT if name in row}


async def _bids(story: Story, name: str, members: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    said = (await story.http.get(f"/api/v1/loans/{story.loans[name]}/bids", story.first_auditor)).said
    parts = {str(member["id"]): part for part, member in members.items() if "id" in member}
    return tuple(sorted(f"{parts.get(row['investor'])} {row['amount_fen']} {row['status']}" for row in said["bids"]))


async def _shares(story: Story, members: Mapping[str, Mapping[str, Any]]) -> tuple[str, ...]:
    """Every investor's receivables of the shop, as that investor sees them."""
    found: list[str] = []
    for person in story.cast.investors:
        said = (await story.http.get(f"/api/v1/loans/{story.loans['shop']}/receivables", person)).said
        found += [" ".join([person.part, *(f"{name} {row[name]}" for name in _OF_SHARE if name in row)]) for row in said["receivables"]]
    return tuple(sorted(found))


def differences(undisturbed: Outcome, disturbed: Outcome) -> list[str]:
    """What is not alike, a line each; empty when the two have ended alike."""
    one, two = undisturbed.as_json(), disturbed.as_json()
    return [line for name in one for line in _unlike(name, one[name], two[name])]


def _unlike(name: str, one: Any, two: Any) -> list[str]:
    if one == two:
        return []
    if isinstance(one, dict) and isinstance(two, dict):
        keys = sorted(one.keys() | two.keys())
        return [line for key in keys for line in _unlike(f"{name}.{key}", one.get(key), two.get(key))]
    if isinstance(one, list) and isinstance(two, list) and len(one) == len(two):
        pairs = enumerate(zip(one, two, strict=True))
        return [line for number, (a, b) in pairs for line in _unlike(f"{name}[{number}]", a, b)]
    return [f"{name}: {one!r} undisturbed, {two!r} disturbed"]


def unbalanced(ended: Outcome, recharges: Mapping[str, int]) -> list[str]:
    """Where the end does not add up: money is only what was brought, and what the plan and the shares say has moved."""
    total = sum(balance.available_fen + balance.held_fen for balance in ended.balances.values())
    wrong = [] if total == sum(recharges.values()) else [f"the accounts hold {total} fen, {sum(recharges.values())} fen were brought"]
    wrong += [f"{part} still has {balance.held_fen} fen held" for part, balance in ended.balances.items() if balance.held_fen]
    paid = sum(row["interest_fen"] for row in ended.plan)
    borrower = ended.balances["borrower"].available_fen
    if borrower != recharges["borrower"] - paid:
        wrong.append(f"the borrower has {borrower} fen; brought {recharges['borrower']} less interest {paid} is another number")
    return wrong
