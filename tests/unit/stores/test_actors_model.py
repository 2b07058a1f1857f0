"""Actors against a dictionary: any batch of changes over any versions is written whole, or stale and not at all."""

import sqlite3

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import Column, Integer, MetaData, Table, Text
from sqlalchemy.schema import CreateTable

from stores.actors import Actors, Change
from stores.engine import RowRejected, StaleVersion, Tx
from stores.sqlite_store import SqliteTx, transaction
from stores.statement import SQLITE

purse = Table(
    "purse",
    MetaData(),
    Column("id", Text, primary_key=True),
    Column("version", Integer, nullable=False),
    Column("fen", Integer, nullable=False),
    Column("owner", Text),
)
Purse = tuple[int, str | None]


def purse_of(actor: str, row: tuple[object, ...]) -> Purse:
    fen, owner = row
    assert isinstance(fen, int) and (owner is None or isinstance(owner, str))
    return fen, owner


PURSES: Actors[Purse] = Actors(purse, to_row=lambda it: it, from_row=purse_of)
KEYS = [f"k{n}" for n in range(12)]
states = st.tuples(st.integers(-(2**63), 2**63 - 1), st.none() | st.text(max_size=5))
drawn = st.dictionaries(
    st.sampled_from([*KEYS, "", "名", "k'1"]), st.tuples(st.sampled_from(["as loaded", "as loaded", "older"]), st.none() | states)
)


def database() -> sqlite3.Connection:
    c = sqlite3.connect(":memory:", isolation_level=None)
    c.execute(str(CreateTable(purse).compile(dialect=SQLITE)))
    return c


class ActorsAndModel(RuleBasedStateMachine):
    """Batches come one after another, some with versions of a load that is over."""

    def __init__(self) -> None:
        super().__init__()
        self.c = database()
        self.model: dict[str, tuple[Purse, int]] = {}

    def teardown(self) -> None:
        self.c.close()

    def save(self, changes: list[Change[Purse]]) -> None:
        def work(tx: Tx) -> None:
            PURSES.save(tx, changes)

        transaction(self.c, "loop.commit", work, lambda _: None)

    @rule(wanted=drawn)
    def a_batch_is_saved(self, wanted: dict[str, tuple[str, Purse | None]]) -> None:
        changes, after, stale = [], dict(self.model), False
        for actor, (how, state) in wanted.items():
            version = self.model[actor][1] if actor in self.model else None
            if how == "older" and version is not None:
                version, stale = version - 1, True
            changes.append(Change(actor, version, state))
            if state is None:
                after.pop(actor, None)
            else:
                after[actor] = state, (version or 0) + 1
        if stale:
            with pytest.raises(StaleVersion, match="changed by somebody else"):
                self.save(changes)
        else:
            self.save(changes)
            self.model = after

    @rule(actor=st.sampled_from(KEYS), state=states)
    def somebody_makes_an_actor_that_is_there_already(self, actor: str, state: Purse) -> None:
        if actor in self.model:
            with pytest.raises(RowRejected):
                self.save([Change(actor, None, state)])

    @rule(actor=st.sampled_from(KEYS))
    def somebody_else_writes_a_row(self, actor: str) -> None:
        self.c.execute("UPDATE purse SET version = version + 1 WHERE id = ?", (actor,))
        if actor in self.model:
            state, version = self.model[actor]
            self.model[actor] = state, version + 1

    @invariant()
    def what_is_loaded_is_what_was_saved(self) -> None:
        everyone = sorted({*self.model, *KEYS, "nobody"})
        assert PURSES.load(SqliteTx(self.c), everyone) == self.model
        assert self.c.execute("SELECT count(*) FROM purse").fetchone() == (len(self.model),)


TestActorsAndModel = ActorsAndModel.TestCase
TestActorsAndModel.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)


@settings(max_examples=30)
@given(st.integers(1, 150), st.data())
def test_the_stale_ones_are_counted_and_the_whole_batch_is_refused(count: int, data: st.DataObject) -> None:
    stale = data.draw(st.sets(st.integers(0, count - 1), min_size=1))
    c = database()
    try:
        PURSES.save(SqliteTx(c), [Change(f"k{n}", None, (n, None)) for n in range(count)])
        changes: list[Change[Purse]] = [Change(f"k{n}", 9 if n in stale else 1, (-1, None)) for n in range(count)]
        with pytest.raises(StaleVersion, match=f"^{len(stale)} of {count} actors"):
            transaction(c, "loop.commit", lambda tx: PURSES.save(tx, changes), lambda _: None)
        assert c.execute("SELECT count(*) FROM purse WHERE fen >= 0").fetchone() == (count,)
    finally:
        c.close()


@pytest.mark.parametrize(
    "columns",
    [
        pytest.param([Column("id", Text), Column("version", Integer)], id="no key"),
        pytest.param([Column("id", Text, primary_key=True), Column("n", Integer)], id="no version"),
        pytest.param([Column("version", Integer), Column("id", Text, primary_key=True)], id="the other order"),
    ],
)
def test_a_table_that_is_not_an_actors_is_refused_at_once(columns: list[Column[object]]) -> None:
    with pytest.raises(AssertionError, match="first the key, then version"):
        Actors(Table("odd", MetaData(), *columns), to_row=lambda it: it, from_row=lambda _, row: row)
