"""Actors of several kinds behind one mailbox: the word before the colon of a key says which store has it."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from stores.actors import ActorStore, Change, Wanted
from stores.engine import Tx

MAIN = ""


def kind_of(key: str) -> str:
    """The word before the first colon of an actor's key; empty for the main kind, whose keys are UUIDs."""
    word, colon, _ = key.partition(":")
    return word if colon else MAIN


class Kinds:
    """An `ActorStore` over several, by kind; `MAIN` is the one of keys without a word before them."""

    def __init__(self, stores: Mapping[str, ActorStore[Any]]) -> None:
        self._stores = stores

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Any, int]]:
        """The actors that exist, each with its version, and with the rows beside it that its messages need."""
        keys: dict[str, list[str]] = defaultdict(list)
        for key in actors:
            keys[kind_of(key)].append(key)
        found: dict[str, tuple[Any, int]] = {}
        for kind, of_kind in keys.items():
            if (store := self._stores.get(kind)) is not None:  # nobody lives under an unknown word
                found.update(store.load(tx, of_kind, [(key, need) for key, need in needs if kind_of(key) == kind]))
        return found

    def save(self, tx: Tx, changes: Sequence[Change[Any]]) -> None:
        """Write every change, kind by kind. Raises StaleVersion, or KeyError for an actor of a kind that has no store."""
        of: dict[str, list[Change[Any]]] = defaultdict(list)
        for change in changes:
            of[kind_of(change.actor)].append(change)
        for kind in sorted(of):
            self._stores[kind].save(tx, of[kind])
