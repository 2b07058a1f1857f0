"""Bulk load and save of actors that are one row each: one SELECT and at most three statements a batch, versions checked."""

from collections.abc import Callable, Sequence
from operator import attrgetter
from typing import Any, Generic, NamedTuple, Protocol, TypeVar

from sqlalchemy import Table, select

from agents.runtime.decision import Need
from stores.engine import Row, StaleVersion, Tx
from stores.statement import Statement, delete_version, in_list, insert_row, update_version

S = TypeVar("S")
Wanted = tuple[str, Need]  # the actor whose message needs it


class Change(NamedTuple, Generic[S]):
    """What a batch made of one actor: `version` is the one it was loaded with (None: it was nothing), `after` None: it is gone."""

    actor: str
    version: int | None
    after: S | None


class ActorStore(Protocol[S]):
    """How a service's actors are loaded and saved, a batch at a time, inside the loop's transaction."""

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[S, int]]:
        """The actors that exist, each with its version, and with the rows beside it that its messages need."""
        ...

    def save(self, tx: Tx, changes: Sequence[Change[S]]) -> None:
        """Write every change, in key order. Raises StaleVersion when one was changed since it was loaded."""
        ...


class Actors(Generic[S]):
    """An `ActorStore` over one table: first column the actor's id (primary key), second `version`, the rest its state."""

    def __init__(self, table: Table, *, to_row: Callable[[S], Row], from_row: Callable[[str, Row], S]) -> None:
        key, version, *rest = table.columns
        assert key.primary_key and version.name == "version", f"{table.name}: first the key, then version"
        self._to_row = to_row
        self._from_row = from_row
        self._select = Statement(select(key, version, *rest).where(in_list(key, "ids")), "ids")
        self._insert = insert_row(table)
        self._update = update_version(table)
        self._delete = delete_version(table)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[S, int]]:
        """The actors that exist, each with its version; one row has nothing beside it."""
        make = self._from_row
        return {row[0]: (make(row[0], row[2:]), row[1]) for row in tx.all(self._select, tx.list(actors))}

    def save(self, tx: Tx, changes: Sequence[Change[S]]) -> None:
        """Insert, update and delete in key order; a row that does not have the loaded version any more raises StaleVersion."""
        inserts: list[Row] = []
        updates: list[Row] = []
        deletes: list[Row] = []
        for change in sorted(changes, key=attrgetter("actor")):
            if change.version is None:
                if change.after is not None:
                    inserts.append((change.actor, 1, *self._to_row(change.after)))
            elif change.after is None:
                deletes.append((change.actor, change.version))
            else:
                updates.append((change.version + 1, *self._to_row(change.after), change.actor, change.version))
        tx.many(self._insert, inserts)
        _all_changed(tx.many(self._update, updates), updates, -2)
        _all_changed(tx.many(self._delete, deletes), deletes, 0)


def _all_changed(count: int, rows: Sequence[Row], key: int) -> None:
    if count != len(rows):
        ids: list[Any] = [row[key] for row in rows]
        raise StaleVersion(f"{len(rows) - count} of {len(rows)} actors were changed by somebody else, among {ids[:5]}")
