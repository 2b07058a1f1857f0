"""The page of states is the code's: every state of every thing stands there once, and its ends are what the code calls ends."""

import re
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest

from agents.accounts.model import Status as Account
from agents.custody.model import Status as Order
from agents.repayments.model import CollectionStatus, InstalmentStatus, PlanStatus
from agents.trading.model import BidStatus
from agents.trading.model import Status as Loan
from agents.users.model import MemberStatus, Standing
from agents.users.model import Status as Registration
from bank.model import HoldState, ProjectState
from bank.model import Status as Request
from bank.notifier_model import State as Notice

PAGE = Path(__file__).resolve().parents[2] / "docs" / "states.md"
TABLE = re.compile(
    r"(?:^## (?P<heading>\w[^\n]*)\n[^|]*?)?^\| (?P<name>[^|]+) \| 中文 \| means \|\n\|---\|---\|---\|\n(?P<rows>(?:\|.*\n)+)", re.MULTILINE
)
THINGS: list[tuple[str, type[StrEnum]]] = [
    ("Registration", Registration),
    ("Account", Account),
    ("Account", MemberStatus),
    ("A member's request", Standing),
    ("Order", Order),
    ("Loan", Loan),
    ("Bid", BidStatus),
    ("Plan", PlanStatus),
    ("Instalment", InstalmentStatus),
    ("Collection", CollectionStatus),
    ("request", Request),
    ("hold", HoldState),
    ("project", ProjectState),
    ("notice", Notice),
]


def states_of(thing: str) -> dict[str, bool]:
    """The states that the page has of a thing, and whether each is an end."""
    [rows] = [m["rows"] for m in TABLE.finditer(PAGE.read_text()) if thing in ((m["heading"] or "")[: len(thing)], m["name"].split(" ")[0])]
    cells = [row.split("|")[1].strip() for row in rows.splitlines()]
    found = {cell.strip("*"): cell.startswith("**") for cell in cells}
    assert len(found) == len(cells), f"a state of {thing} stands there twice"
    return found


@pytest.mark.parametrize(("thing", "states"), THINGS, ids=lambda value: value if isinstance(value, str) else value.__module__)
def test_the_page_has_every_state_of_a_thing_and_no_other(thing: str, states: type[StrEnum]) -> None:
    assert list(states_of(thing)) == [state.value for state in states]


@pytest.mark.parametrize("thing", [name for name, states in THINGS if hasattr(states, "is_final")])
def test_the_ends_of_the_page_are_the_ends_of_the_code(thing: str) -> None:
    [states] = [states for name, states in THINGS if name == thing]
    kinds: Any = states
    assert {state for state, ends in states_of(thing).items() if ends} == {state.value for state in kinds if state.is_final}


def test_every_table_of_the_page_is_held_to_the_code() -> None:
    assert len(list(TABLE.finditer(PAGE.read_text()))) == len({name for name, _ in THINGS})
