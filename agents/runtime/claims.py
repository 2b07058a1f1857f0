"""Claims: values that only one actor of a service may own (DESIGN 1, loop step 4).

In a batch they are an overlay value → owner: each message takes what is free or its own, and what a forgotten
actor owned is free for those after it. A refused or parked message takes nothing.

Wanted values are inserted first: who wants the same value at the same time, in another partition, waits for this COMMIT
and sees whose it is then. What the batch has inserted and nobody of it took goes away again.
"""

from collections.abc import Sequence

from sqlalchemy import bindparam, delete, or_, select

from agents.runtime.decision import Claim
from stores.engine import StoreAway, Tx
from stores.runtime import claim
from stores.statement import Statement, in_list, insert_new_row, insert_row

_READ = Statement(
    select(claim.c.value, claim.c.owner).where(or_(in_list(claim.c.value, "values"), in_list(claim.c.owner, "owners"))), "values", "owners"
)
_INSERT = insert_row(claim)
_PROPOSE = insert_new_row(claim)
_DELETE = Statement(delete(claim).where(claim.c.value == bindparam("of")), "of")

ROUNDS_MAX = 10  # somebody else freed a value after it was found taken and before its owner was read: once is rare


def row_value(wanted: Claim) -> str:
    """The claim as it stands in the table."""
    return f"{wanted.name}:{wanted.value}"


class Overlay:
    """Who owns what, as the batch goes on; written back at its end."""

    def __init__(self) -> None:
        self._before: dict[str, str] = {}
        self._now: dict[str, str] = {}

    def read(self, tx: Tx, wanted: Sequence[tuple[str, Claim]], actors: Sequence[str]) -> None:
        """Propose every wanted value for the first actor that wants it; look up whose it is, and everything that the batch's actors own."""
        proposals: dict[str, str] = {}
        for actor, c in wanted:
            proposals.setdefault(row_value(c), actor)
        inserted: set[str] = set()
        missing = sorted(proposals.items())
        for _ in range(ROUNDS_MAX):
            inserted.update(tx.new(_PROPOSE, missing))
            self._before = dict(tx.all(_READ, tx.list(proposals), tx.list(actors)))
            missing = [proposal for proposal in missing if proposal[0] not in self._before]  # freed between the two statements
            if not missing:
                self._now = {value: owner for value, owner in self._before.items() if value not in inserted}
                return
        raise StoreAway(f"claims change hands as fast as they are read, among {missing[:5]}")

    def lost(self, actor: str, wanted: Sequence[Claim]) -> tuple[str, ...]:
        """The names of the claims that somebody else owns, in the order that the message wants them."""
        return tuple(c.name for c in wanted if self._now.get(row_value(c), actor) != actor)

    def take(self, actor: str, wanted: Sequence[Claim]) -> None:
        """The actor owns from now on what is free or its own."""
        for c in wanted:
            self._now.setdefault(row_value(c), actor)

    def give_back(self, actor: str, claims: Sequence[Claim]) -> None:
        """The actor owns these no longer; what is not its own stays whose it is."""
        for value in map(row_value, claims):
            if self._now.get(value) == actor:
                del self._now[value]

    def free(self, actor: str) -> None:
        """Everything that the actor owned belongs to nobody."""
        self._now = {value: owner for value, owner in self._now.items() if owner != actor}

    def write(self, tx: Tx) -> None:
        """Make the table what the overlay is, in key order."""
        gone = sorted((value,) for value, owner in self._before.items() if self._now.get(value) != owner)
        new = sorted((value, owner) for value, owner in self._now.items() if self._before.get(value) != owner)
        tx.many(_DELETE, gone)
        tx.many(_INSERT, new)
