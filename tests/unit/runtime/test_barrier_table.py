"""The barrier, every cell of it: what a branch has answered (a row) against what it is told (a column), young and old.

`?` the behaviour is asked, `!` the coordinator contradicts itself, otherwise the answer that the barrier gives by itself.
"""

import itertools

import pytest

from agents.accounts.agent import service
from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, Refused, Tried, Try
from agents.runtime.barrier import Branches
from agents.runtime.decision import Message
from agents.runtime.envelope import Delivery
from agents.runtime.tcc import BarrierBroken, Participant, Phase, standing_answer
from bus.record import Record
from stores.runtime import barrier
from tests.integration.stores.memory import memory
from tests.integration.stores.world import NOW_MS, boxes

MEMORY_MS = 1_000
KEY = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
PHASES = (Phase.TRY, Phase.CONFIRM, Phase.CANCEL)
ANSWER: dict[str, Message] = {
    "tried": Tried(id=KEY),
    "taken": Refused(id=KEY, code="mobile_taken"),
    "cancelled?": Refused(id=KEY, code="cancelled"),
    "too old": Refused(id=KEY, code="too_old"),
    "confirmed": Confirmed(id=KEY),
    "cancelled": Cancelled(id=KEY),
}
OF = {"tried": Phase.TRY, "taken": Phase.TRY, "too old": Phase.TRY, "confirmed": Phase.CONFIRM, "cancelled": Phase.CANCEL}

TABLE = """
answered                | try        | old try    | confirm   | cancel
                        | ?          | too old    | !         | ?
tried                   | tried      | tried      | ?         | ?
taken                   | taken      | taken      | !         | ?
too old                 | too old    | too old    | !         | ?
tried, confirmed        | tried      | tried      | confirmed | !
tried, cancelled        | tried      | tried      | !         | cancelled
taken, cancelled        | taken      | taken      | !         | cancelled
too old, cancelled      | too old    | too old    | !         | cancelled
cancelled               | cancelled? | cancelled? | !         | cancelled
"""


def cells() -> list[tuple[tuple[str, ...], Phase, bool, str]]:
    """Each cell: what was answered, what is said, whether it was said long ago, and what comes of it."""
    _, *rows = [[cell.strip() for cell in line.split("|")] for line in TABLE.strip("\n").splitlines()]
    columns = ((Phase.TRY, False), (Phase.TRY, True), (Phase.CONFIRM, False), (Phase.CANCEL, False))
    answered = [tuple(word for word in row[0].split(", ") if word) for row in rows]
    return [(row, *column, cell) for row, line in zip(answered, rows, strict=True) for column, cell in zip(columns, line[1:], strict=True)]


CELLS = cells()
NAMED = [f"{' and '.join(answered) or 'nothing'}, then {'an old ' if old else ''}{phase}" for answered, phase, old, _ in CELLS]


def participant() -> Participant:
    found = service(MEMORY_MS).participant
    assert found is not None
    return found


def told(phase: Phase, answers: dict[Phase, Message], *, old: bool) -> str:
    """What the barrier says, in the table's words."""
    sent_ms = NOW_MS - MEMORY_MS - 1 if old else NOW_MS
    try:
        found = standing_answer(participant(), KEY, phase, answers, sent_ms=sent_ms, now_ms=NOW_MS)
    except BarrierBroken:
        return "!"
    return "?" if found is None else next(word for word, answer in ANSWER.items() if answer == found)


@pytest.mark.parametrize(("answered", "phase", "old", "cell"), CELLS, ids=NAMED)
def test_the_barrier_says_what_its_table_says(answered: tuple[str, ...], phase: Phase, old: bool, cell: str) -> None:
    assert told(phase, {OF[word]: ANSWER[word] for word in answered}, old=old) == cell


@pytest.mark.parametrize(
    ("answered", "phase", "cell"),
    [(answered, phase, cell) for answered, phase, _, cell in CELLS if phase is not Phase.TRY],
    ids=[name for name, (_, phase, *_) in zip(NAMED, CELLS, strict=True) if phase is not Phase.TRY],
)
def test_the_second_phase_is_never_too_old(answered: tuple[str, ...], phase: Phase, cell: str) -> None:
    assert told(phase, {OF[word]: ANSWER[word] for word in answered}, old=True) == cell


MESSAGES: dict[Phase, Message] = {
    Phase.TRY: Try(id=KEY, login_name="a", mobile="s1.k1.m", mobile_lookup="m", password_hash="s1.k1.h"),
    Phase.CONFIRM: Confirm(id=KEY),
    Phase.CANCEL: Cancel(id=KEY),
}


def delivered(phase: Phase) -> Delivery:
    record = Record("accounts.commands", 0, 0, NOW_MS, NOW_MS, KEY.encode(), b"{}", ())
    return Delivery(record, KEY, KEY, KEY, "p", None, None, NOW_MS, MESSAGES[phase])


@pytest.mark.parametrize("later", [False, True], ids=["in one batch", "in a batch for each"])
@pytest.mark.parametrize("order", list(itertools.permutations(["tried", "confirmed", "cancelled"], 2)), ids=" then ".join)
def test_the_rows_hold_the_first_answer_of_each_phase_whenever_they_are_read(order: tuple[str, ...], later: bool) -> None:
    with memory(boxes()) as store:
        branches = Branches(participant())
        for word in (*order, *order):
            if later:
                branches = Branches(participant())
                branches.load(store.tx, [KEY])
            branches.answered(delivered(OF[word]), ANSWER[word])
            if later:
                branches.save(store.tx, now_ms=NOW_MS)
        if not later:
            branches.save(store.tx, now_ms=NOW_MS)
        read = Branches(participant())
        read.load(store.tx, [KEY])
        hanging = order == ("cancelled", "tried")
        kept = {OF[word]: ANSWER[word] for word in order if not (hanging and word == "tried")}
        assert read.answers(KEY) == kept, "a try that is refused because of its cancel leaves no row"
        assert len(store.rows(barrier)) == len(kept)


@pytest.mark.parametrize("other", ["taken", "too old"])
def test_another_answer_to_the_same_phase_does_not_replace_the_first(other: str) -> None:
    branches = Branches(participant())
    branches.answered(delivered(Phase.TRY), ANSWER["tried"])
    branches.answered(delivered(Phase.TRY), ANSWER[other])
    assert branches.answers(KEY) == {Phase.TRY: ANSWER["tried"]}


@pytest.mark.parametrize("phase", PHASES)
def test_who_takes_part_in_nothing_has_no_barrier(phase: Phase) -> None:
    with memory(boxes()) as store:
        branches = Branches(None)
        branches.load(store.tx, [KEY])
        branches.answered(delivered(phase), ANSWER["tried"])
        branches.save(store.tx, now_ms=NOW_MS)
        assert branches.answers(KEY) == {} and store.rows(barrier) == []


def test_one_branch_knows_nothing_of_another() -> None:
    branches = Branches(participant())
    branches.answered(delivered(Phase.CANCEL), ANSWER["cancelled"])
    assert branches.answers("another") == {}
