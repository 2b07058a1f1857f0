"""Timers as rows against a model of them: the last word per actor and name stands, due ones come earliest first, once."""

import itertools
import sqlite3
from collections.abc import Iterator

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agents.runtime import timers
from agents.runtime.decision import ClearTimer, SetTimer, derived_id
from agents.runtime.envelope import Delivery
from agents.runtime.work import TimerChange
from agents.users.messages import SecondPhaseDue
from bus.record import Record
from stores.sqlite_store import SqliteTx
from tests.integration.stores.memory import Memory
from tests.integration.stores.world import NOW_MS, boxes

CAUSES = [f"00000000-0000-4000-8000-{n:012d}" for n in range(1_000)]
ACTORS, NAMES = ("a", "b", "c"), ("try_deadline", "second_phase")
RING = SecondPhaseDue(id="a", round=1)
WORDS = st.tuples(st.sampled_from(ACTORS), st.sampled_from(NAMES), st.one_of(st.none(), st.integers(0, 30)))


def caused(actor: str, cause: str, partition: int = 0, trace: str = "t") -> Delivery:
    record = Record("users.commands", partition, 0, NOW_MS, NOW_MS, actor.encode(), b"{}", ())
    return Delivery(record, actor, cause, trace, "p", None, None, NOW_MS, RING)


def change(actor: str, name: str, due_ms: int | None, cause: str, partition: int = 0) -> TimerChange:
    """What an actor wants: a timer, or with None the end of one."""
    if due_ms is None:
        return actor, ClearTimer(name), None
    wanted = SetTimer(name, due_ms, RING)
    return actor, wanted, timers.row_of(caused(actor, cause, partition), wanted)


@pytest.fixture
def tx() -> Iterator[SqliteTx]:
    memory = Memory(boxes())
    yield memory.tx
    memory.connection.close()


def due(tx: SqliteTx, now_ms: int, *, partition: int = 0, limit: int = 100) -> list[tuple[str, str]]:
    """Who is due, and which message set it."""
    return [(t.actor, t.causation) for t in timers.due(tx, partition, now_ms=now_ms, limit=limit)]


ONE, TWO = CAUSES[:2]
CASES = {
    "set": ([("a", "x", 5, ONE)], [("a", ONE)]),
    "set twice: the later word stands": ([("a", "x", 5, ONE), ("a", "x", 3, TWO)], [("a", TWO)]),
    "set, then cleared": ([("a", "x", 5, ONE), ("a", "x", None, TWO)], []),
    "cleared, then set": ([("a", "x", None, ONE), ("a", "x", 5, TWO)], [("a", TWO)]),
    "two names of one actor": ([("a", "x", 5, ONE), ("a", "y", 3, TWO)], [("a", TWO), ("a", ONE)]),
    "one name of two actors": ([("a", "x", 5, ONE), ("b", "x", 5, TWO)], [("a", ONE), ("b", TWO)]),
    "another actor's name is cleared": ([("a", "x", 5, ONE), ("b", "x", None, TWO)], [("a", ONE)]),
    "another name is cleared": ([("a", "x", 5, ONE), ("a", "y", None, TWO)], [("a", ONE)]),
    "cleared without having been set": ([("a", "x", None, ONE)], []),
}


@pytest.mark.parametrize("at_once", [True, False], ids=["in one transaction", "one after another"])
@pytest.mark.parametrize(("words", "left"), CASES.values(), ids=CASES)
def test_the_last_word_stands(
    words: list[tuple[str, str, int | None, str]], left: list[tuple[str, str]], at_once: bool, tx: SqliteTx
) -> None:
    changes = [change(*word) for word in words]
    for batch in [changes] if at_once else [[one] for one in changes]:
        timers.write(tx, batch, ())
    assert sorted(due(tx, 100)) == sorted(left)


@pytest.mark.parametrize(("now_ms", "rings"), [(4, False), (5, True), (6, True)], ids=["before", "at its instant", "after"])
def test_a_timer_is_due_from_its_instant_on(now_ms: int, rings: bool, tx: SqliteTx) -> None:
    timers.write(tx, [change("a", "x", 5, ONE)], ())
    assert bool(due(tx, now_ms)) == rings


def test_what_is_overdue_longest_is_first_and_a_limit_cuts_the_others(tx: SqliteTx) -> None:
    timers.write(
        tx, [change(actor, "x", at, cause) for (actor, at), cause in zip({"c": 1, "a": 3, "b": 2}.items(), CAUSES, strict=False)], ()
    )
    assert [actor for actor, _ in due(tx, 9, limit=2)] == ["c", "b"]


def test_each_partition_has_its_own(tx: SqliteTx) -> None:
    timers.write(tx, [change("a", "x", 5, ONE, partition=0), change("b", "x", 4, TWO, partition=1)], ())
    assert (due(tx, 9, partition=0), due(tx, 9, partition=1), due(tx, 9, partition=2)) == ([("a", ONE)], [("b", TWO)], [])
    assert [timers.next_due_ms(tx, n) for n in range(3)] == [5, 4, None]


def test_a_timer_set_by_the_same_message_again_fires_under_the_same_id_and_by_another_under_another() -> None:
    rows = [timers.row_of(caused("a", cause), SetTimer(name, 5, RING)) for cause, name in ((ONE, "x"), (ONE, "x"), (TWO, "x"), (ONE, "y"))]
    firings = [derived_id(row[0], "firing") for row in rows]
    assert firings[0] == firings[1] and len(set(firings)) == 3
    assert not set(firings) & {row[0] for row in rows}, "a firing is a message of its own"


def test_a_firing_keeps_the_trace_and_the_cause(tx: SqliteTx) -> None:
    wanted = SetTimer("x", 5, RING)
    timers.write(tx, [("a", wanted, timers.row_of(caused("a", ONE, trace="tr-9"), wanted))], ())
    (t,) = timers.due(tx, 0, now_ms=5, limit=1)
    assert (t.trace, t.causation, t.type, SecondPhaseDue.model_validate_json(t.body)) == ("tr-9", ONE, RING.type, RING)


def test_the_database_holds_one_timer_a_name_whoever_writes(tx: SqliteTx) -> None:
    timers.write(tx, [change("a", "x", 5, ONE)], ())
    with pytest.raises(sqlite3.IntegrityError):
        tx.many(timers._INSERT, [timers.row_of(caused("a", TWO), SetTimer("x", 6, RING))])


class Model(RuleBasedStateMachine):
    """The table and a dictionary (actor, name) → (due, cause)."""

    def __init__(self) -> None:
        super().__init__()
        self.memory = Memory(boxes())
        self.model: dict[tuple[str, str], tuple[int, str]] = {}
        self.causes = itertools.cycle(CAUSES)
        self.fired: set[str] = set()

    @rule(words=st.lists(WORDS, max_size=6), forgotten=st.sets(st.sampled_from(ACTORS), max_size=1))
    def a_batch(self, words: list[tuple[str, str, int | None]], forgotten: set[str]) -> None:
        """Who is forgotten loses what it had; what the batch sets for it afterwards stands."""
        changes = [(actor, name, at, next(self.causes)) for actor, name, at in words]
        timers.write(self.memory.tx, [change(*one) for one in changes], forgotten)
        self.model = {which: timer for which, timer in self.model.items() if which[0] not in forgotten}
        for actor, name, at, cause in changes:
            self.model.pop((actor, name), None)
            if at is not None:
                self.model[actor, name] = (at, cause)

    @rule(now_ms=st.integers(0, 30), limit=st.integers(1, 4))
    def fires(self, now_ms: int, limit: int) -> None:
        found = timers.due(self.memory.tx, 0, now_ms=now_ms, limit=limit)
        timers.fired(self.memory.tx, [t.id for t in found])
        owed = sorted(at for at, _ in self.model.values() if at <= now_ms)
        assert len(found) == min(limit, len(owed))
        by_cause = {(actor, cause): ((actor, name), at) for (actor, name), (at, cause) in self.model.items()}
        gone = [by_cause[t.actor, t.causation] for t in found]
        assert [at for _, at in gone] == owed[: len(found)]
        for which, _ in gone:
            del self.model[which]
        firings = {t.firing_id for t in found}
        assert not firings & self.fired
        self.fired |= firings

    @invariant()
    def the_next_is_the_earliest(self) -> None:
        assert timers.next_due_ms(self.memory.tx, 0) == min((at for at, _ in self.model.values()), default=None)

    def teardown(self) -> None:
        self.memory.connection.close()


Model.TestCase.settings = settings(max_examples=20, stateful_step_count=20)
TestModel = Model.TestCase
