"""What the far end counts, against a model that is too simple to be wrong: logs with gaps, repeats, doubles and swaps."""

import collections
import itertools
from dataclasses import dataclass
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from agents.runtime.envelope import MESSAGE_ID
from bus.record import Record
from tools.soak.verdict import SHOWN_MAX, FarEnd

ACTORS: Final = ("a", "b", "c")
FEW: Final = settings(max_examples=40)
Said = tuple[str, str, int]  # message id, actor, number


def record(offset: int, said: Said) -> Record:
    """How it stands in the last log."""
    identity, actor, number = said
    headers = (("trace-id", b"t"), (MESSAGE_ID, identity.encode()))
    return Record("bench.end", 0, offset, 0, 0, actor.encode(), b'{"seq":%d,"handled":1}' % number, headers)


def far_end(log: list[Said]) -> FarEnd:
    """A far end that has read the whole log."""
    far = FarEnd()
    far.take(record(offset, said) for offset, said in enumerate(log))
    return far


@dataclass(frozen=True)
class Figures:
    """What the model says of a log."""

    repeats: int
    doubled: int
    out_of_order: int
    applied: int


def modelled(log: list[Said]) -> Figures:
    """By looking back over the whole log at every record, with no memory of its own."""
    firsts = [said for at, said in enumerate(log) if said[0] not in {earlier[0] for earlier in log[:at]}]
    by_actor = {actor: [number for _, of, number in firsts if of == actor] for actor in ACTORS}
    return Figures(
        repeats=len(log) - len(firsts),
        doubled=sum(len(numbers) - len(set(numbers)) for numbers in by_actor.values()),
        out_of_order=sum(any(earlier > n for earlier in numbers[:at]) for numbers in by_actor.values() for at, n in enumerate(numbers)),
        applied=sum(len(set(numbers)) for numbers in by_actor.values()),
    )


def counted(far: FarEnd) -> Figures:
    """What the far end says of it."""
    return Figures(far.repeats, far.doubled, far.out_of_order, far.applied)


SAID: Final = st.tuples(st.sampled_from([f"m{n}" for n in range(12)]), st.sampled_from(ACTORS), st.integers(0, 6))
LOGS: Final = st.lists(SAID, max_size=30)
COUNTS: Final = st.fixed_dictionaries({actor: st.integers(0, 8) for actor in ACTORS})


@FEW
@given(LOGS)
def test_any_log_is_counted_as_the_model_counts_it(log: list[Said]) -> None:
    assert counted(far_end(log)) == modelled(log)


@FEW
@given(LOGS, st.lists(st.integers(0, 30), max_size=6))
def test_in_how_many_reads_a_log_comes_makes_no_difference(log: list[Said], cuts: list[int]) -> None:
    far = FarEnd()
    edges = [0, *sorted(min(cut, len(log)) for cut in cuts), len(log)]
    for begin, end in itertools.pairwise(edges):
        far.take(record(offset, log[offset]) for offset in range(begin, end))
    whole = far_end(log)
    assert (counted(far), far.offsets, far.examples) == (counted(whole), whole.offsets, whole.examples)


@FEW
@given(LOGS, COUNTS)
def test_lost_is_what_was_sent_and_stands_nowhere(log: list[Said], sent: dict[str, int]) -> None:
    everywhere = {(actor, number) for _, actor, number in ((m, a, n) for at, (m, a, n) in enumerate(log) if first_of(log, at))}
    assert far_end(log).lost(sent) == sum((actor, number) not in everywhere for actor, count in sent.items() for number in range(count))


def first_of(log: list[Said], at: int) -> bool:
    """Whether its id has not stood before it."""
    return all(earlier[0] != log[at][0] for earlier in log[:at])


@st.composite
def perfect(draw: st.DrawFn) -> tuple[list[Said], dict[str, int]]:
    """Every actor's numbers in order, the actors mixed; and how many each was sent."""
    sent = draw(COUNTS)
    order = draw(st.permutations([actor for actor, count in sent.items() for _ in range(count)]))
    next_of: collections.Counter[str] = collections.Counter()
    log = []
    for actor in order:
        log.append((f"{actor}-{next_of[actor]}", actor, next_of[actor]))
        next_of[actor] += 1
    return log, sent


@FEW
@given(perfect())
def test_actors_may_be_mixed_as_they_like(world: tuple[list[Said], dict[str, int]]) -> None:
    log, sent = world
    far = far_end(log)
    assert counted(far) == Figures(0, 0, 0, len(log))
    assert (far.lost(sent), far.examples) == (0, [])


@FEW
@given(perfect(), st.data())
def test_every_message_left_out_is_one_lost_and_nothing_else(world: tuple[list[Said], dict[str, int]], data: st.DataObject) -> None:
    log, sent = world
    kept = [said for said in log if data.draw(st.booleans())]
    far = far_end(kept)
    assert far.lost(sent) == len(log) - len(kept)
    assert (far.doubled, far.out_of_order, far.repeats) == (0, 0, 0)


@FEW
@given(perfect(), st.data())
def test_repeats_of_one_id_are_counted_and_never_held_against_anybody(
    world: tuple[list[Said], dict[str, int]], data: st.DataObject
) -> None:
    log, sent = world
    repeated = data.draw(st.lists(st.sampled_from(log), max_size=8)) if log else []
    far = far_end(log + repeated)
    assert far.repeats == len(repeated)
    assert (far.lost(sent), far.doubled, far.out_of_order) == (0, 0, 0)


@FEW
@given(perfect(), st.data())
def test_every_second_effect_is_one_doubled(world: tuple[list[Said], dict[str, int]], data: st.DataObject) -> None:
    log, sent = world
    planted = [said for said in log if data.draw(st.booleans())]
    twice = [each for said in log for each in (said, *([(f"x-{said[0]}", *said[1:])] if said in planted else []))]
    far = far_end(twice)
    assert far.doubled == len(planted)
    assert (far.lost(sent), far.repeats, far.out_of_order) == (0, 0, 0), "right after the first it is not out of order"


@pytest.mark.parametrize(
    ("numbers", "out_of_order"),
    [
        pytest.param([0, 1, 2, 3], 0, id="in order"),
        pytest.param([1, 0, 2, 3], 1, id="the first two changed places"),
        pytest.param([0, 1, 3, 2], 1, id="the last two changed places"),
        pytest.param([3, 0, 1, 2], 3, id="the last one came first: three are behind it"),
        pytest.param([1, 2, 3, 0], 1, id="the first one came last"),
        pytest.param([3, 2, 1, 0], 3, id="backwards"),
        pytest.param([0, 2, 4, 6], 0, id="gaps are lost and not out of order"),
        pytest.param([0, 5, 1, 6, 2], 2, id="late ones between"),
    ],
)
def test_what_stands_behind_a_higher_number_is_out_of_order(numbers: list[int], out_of_order: int) -> None:
    assert far_end([(f"m{n}", "a", n) for n in numbers]).out_of_order == out_of_order


@pytest.mark.parametrize(
    ("log", "example"),
    [
        pytest.param([("m", "a", 4), ("n", "a", 4)], "doubled: a number 4 at 1", id="doubled"),
        pytest.param([("m", "a", 4), ("x", "b", 0), ("n", "a", 2)], "out of order: a number 2 after 4 at 2", id="out of order"),
    ],
)
def test_an_example_says_who_which_and_where(log: list[Said], example: str) -> None:
    assert far_end(log).examples == [example]


def test_there_are_only_so_many_examples_however_much_is_wrong() -> None:
    far = far_end([(f"m{n}", "a", 0) for n in range(SHOWN_MAX * 2)])
    assert far.doubled == SHOWN_MAX * 2 - 1
    assert len(far.examples) == SHOWN_MAX


class Reading(RuleBasedStateMachine):
    """The far end reads on and on while senders, a relay that repeats and a fault that doubles have their way."""

    def __init__(self) -> None:
        super().__init__()
        self.far = FarEnd()
        self.log: list[Said] = []
        self.sent = dict.fromkeys(ACTORS, 0)

    def _arrives(self, said: Said) -> None:
        self.far.take([record(len(self.log), said)])
        self.log.append(said)

    @rule(actor=st.sampled_from(ACTORS))
    def is_sent_and_arrives(self, actor: str) -> None:
        self._arrives((f"{actor}-{self.sent[actor]}", actor, self.sent[actor]))
        self.sent[actor] += 1

    @rule(actor=st.sampled_from(ACTORS))
    def is_sent_and_lost(self, actor: str) -> None:
        self.sent[actor] += 1

    @rule(back=st.integers(1, 10))
    def is_relayed_again(self, back: int) -> None:
        if self.log:
            self._arrives(self.log[-min(back, len(self.log))])

    @rule(back=st.integers(1, 10))
    def takes_effect_again(self, back: int) -> None:
        if self.log:
            said = self.log[-min(back, len(self.log))]
            self._arrives((f"again-{len(self.log)}", *said[1:]))

    @invariant()
    def counts_as_the_model(self) -> None:
        assert counted(self.far) == modelled(self.log)
        assert self.far.applied + self.far.lost(self.sent) == sum(self.sent.values())

    @invariant()
    def reads_on_where_it_stopped(self) -> None:
        assert self.far.offsets.get(0, 0) == len(self.log)


test_the_far_end_agrees_with_the_model_after_every_record = Reading.TestCase
Reading.TestCase.settings = settings(max_examples=20, stateful_step_count=25)
