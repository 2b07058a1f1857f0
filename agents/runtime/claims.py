"""Claims: values that only one actor of a service may own (DESIGN 1, loop step 4).

In a batch they are an overlay value → owner: each message takes what is free or its own, and what a forgotten
actor owned is free for those after it. A refused or parked message takes nothing.
"""

from collections.abc import Iterable, Sequence

from sqlalchemy import bindparam, delete, or_, select

from agents.runtime.decision import Claim
from stores.engine import Tx
from stores.runtime import claim
from stores.statement import Statement, in_list, insert_row

_READ = Statement(
    select(claim.c.value, claim.c.owner).where(or_(in_list(claim.c.value, "values"), in_list(claim.c.owner, "owners"))), "values", "owners"
)
_INSERT = insert_row(claim)
_DELETE = Statement(delete(claim).where(claim.c.value == bindparam("of")), "of")


def row_value(wanted: Claim) -> str:
    """The claim as it stands in the table."""
    return f"{wanted.name}:{wanted.value}"


class Overlay:
    """Who owns what, as the batch goes on; written back at its end."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}

    def read(self, tx: Tx, wanted: Iterable[Claim], actors: Sequence[str]) -> None:
        """Look up the owner of every wanted value, and everything that the batch's actors own."""
        self._before = dict(tx.all(_READ, tx.list(sorted({row_value(c) for c in wanted})), tx.list(actors)))
        self._now = dict(self._before)

    def lost(self, actor: str, wanted: Sequence[Claim]) -> tuple[str, ...]:
        """The names of the claims that somebody else owns, in the order that the message wants them."""
        return tuple(c.name for c in wanted if self._now.get(row_value(c), actor) != actor)

    def take(self, actor: str, wanted: Sequence[Claim]) -> None:
        """The actor owns from now on what is free or its own."""
        for c in wanted:
            self._now.setdefault(row_value(c), actor)

    def free(self, actor: str) -> None:
        """Everything that the actor owned belongs to nobody."""
        self._now = {value: owner for value, owner in self._now.items() if owner != actor}

    def write(self, tx: Tx) -> None:
        """Make the table what the overlay is, in key order."""
        gone = sorted((value,) for value, owner in self._before.items() if self._now.get(value) != owner)
        new = sorted((value, owner) for value, owner in self._now.items() if self._before.get(value) != owner)
        tx.many(_DELETE, gone)
        tx.many(_INSERT, new)
