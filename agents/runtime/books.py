"""Books: rows that every actor of a mailbox reads and changes, e.g. the balances of a ledger whose actors are its requests.

Only for a service whose topic has one partition: then one owner handles everything in order, and no two messages race. A batch
has one working copy, so what a message writes is seen by the next one; it is written back in the batch's transaction.
"""

from collections.abc import Sequence
from typing import Any, Protocol, TypeVar

from agents.runtime.decision import Message
from stores.engine import Tx

S_contra = TypeVar("S_contra", contravariant=True)


class Books(Protocol):
    """The working copy of one batch; a behaviour finds it in its context and only reads it."""

    def apply(self, entries: Sequence[Any]) -> None:
        """Take up what a decision enters: all of it, or nothing and raise."""
        ...


class BookStore(Protocol[S_contra]):
    """How books are loaded and saved, a batch at a time."""

    def load(self, tx: Tx, items: Sequence[tuple[S_contra | None, Message]]) -> Books:
        """What these messages to actors in these states may read or change."""
        ...

    def save(self, tx: Tx, books: Any) -> None:
        """Write back what has changed, in key order."""
        ...
