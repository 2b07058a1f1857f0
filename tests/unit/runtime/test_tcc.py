"""The barrier's rule as a table: idempotence 幂等, empty rollback 空回滚, hanging 悬挂, and coordinators that contradict themselves."""

import itertools
from collections.abc import Sequence

import pytest

from agents.accounts.agent import service
from agents.accounts.messages import Cancelled, Confirmed, Refused, Tried
from agents.runtime.decision import Message
from agents.runtime.tcc import BarrierBroken, Phase, standing_answer

MEMORY_MS = 1_000
PARTICIPANT = service(MEMORY_MS).participant
KEY = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
TRIED, REFUSED, CONFIRMED, CANCELLED = Tried(id=KEY), Refused(id=KEY, code="mobile_taken"), Confirmed(id=KEY), Cancelled(id=KEY)
OWN_ANSWER: dict[Phase, Message] = {Phase.TRY: TRIED, Phase.CONFIRM: CONFIRMED, Phase.CANCEL: CANCELLED}


def stands(phase: Phase, answers: dict[Phase, Message], *, sent_ms: int = 0, now_ms: int = 0) -> Message | None:
    assert PARTICIPANT is not None
    return standing_answer(PARTICIPANT, KEY, phase, answers, sent_ms=sent_ms, now_ms=now_ms)


def test_the_first_try_is_the_behaviours_business() -> None:
    assert stands(Phase.TRY, {}) is None


@pytest.mark.parametrize("answer", [TRIED, REFUSED])
def test_a_repeated_try_is_answered_as_the_first_was(answer: Message) -> None:
    assert stands(Phase.TRY, {Phase.TRY: answer}) == answer


def test_a_repeated_confirm_is_answered_as_the_first_was() -> None:
    assert stands(Phase.CONFIRM, {Phase.TRY: TRIED, Phase.CONFIRM: CONFIRMED}) == CONFIRMED


def test_a_repeated_cancel_is_answered_as_the_first_was() -> None:
    assert stands(Phase.CANCEL, {Phase.CANCEL: CANCELLED}) == CANCELLED


def test_a_confirm_of_what_was_tried_is_the_behaviours_business() -> None:
    assert stands(Phase.CONFIRM, {Phase.TRY: TRIED}) is None


@pytest.mark.parametrize("before", [{}, {Phase.TRY: TRIED}, {Phase.TRY: REFUSED}], ids=["never tried", "tried", "refused"])
def test_a_cancel_is_the_behaviours_business_whatever_the_try_came_to(before: dict[Phase, Message]) -> None:
    assert stands(Phase.CANCEL, before) is None


def test_a_try_after_its_cancel_is_refused() -> None:
    assert stands(Phase.TRY, {Phase.CANCEL: CANCELLED}) == Refused(id=KEY, code="cancelled")


@pytest.mark.parametrize(("age_ms", "answer"), [(MEMORY_MS, None), (MEMORY_MS + 1, Refused(id=KEY, code="too_old"))])
def test_a_try_older_than_the_barriers_memory_is_refused(age_ms: int, answer: Message | None) -> None:
    assert stands(Phase.TRY, {}, sent_ms=5_000, now_ms=5_000 + age_ms) == answer


def test_a_try_that_was_answered_is_answered_again_however_old() -> None:
    assert stands(Phase.TRY, {Phase.TRY: TRIED}, sent_ms=0, now_ms=10**12) == TRIED


def test_a_try_from_a_clock_that_is_ahead_is_not_too_old() -> None:
    assert stands(Phase.TRY, {}, sent_ms=9_000, now_ms=5_000) is None


@pytest.mark.parametrize("phase", [Phase.CONFIRM, Phase.CANCEL])
def test_the_second_phase_is_never_too_old(phase: Phase) -> None:
    assert stands(phase, {Phase.TRY: TRIED}, sent_ms=0, now_ms=10**12) is None


@pytest.mark.parametrize(
    ("phase", "answers"),
    [
        (Phase.CONFIRM, {}),
        (Phase.CONFIRM, {Phase.TRY: REFUSED}),
        (Phase.CONFIRM, {Phase.TRY: TRIED, Phase.CANCEL: CANCELLED}),
        (Phase.CONFIRM, {Phase.CANCEL: CANCELLED}),
        (Phase.CANCEL, {Phase.TRY: TRIED, Phase.CONFIRM: CONFIRMED}),
    ],
)
def test_a_coordinator_that_contradicts_itself_is_an_error_and_says_what_was_answered(phase: Phase, answers: dict[Phase, Message]) -> None:
    with pytest.raises(BarrierBroken, match=f"{phase}, but the branch has answered") as raised:
        stands(phase, answers)
    assert all(answer.type in str(raised.value) for answer in answers.values())
    assert answers or "nothing" in str(raised.value)


def outcome(order: Sequence[Phase]) -> tuple[dict[Phase, Message], list[Phase], int]:
    """What the barrier remembers, which phases the behaviour was asked, and how often a coordinator was told off."""
    answers: dict[Phase, Message] = {}
    asked: list[Phase] = []
    broken = 0
    for phase in order:
        try:
            standing = stands(phase, answers)
        except BarrierBroken:
            broken += 1
            continue
        if standing is None:
            asked.append(phase)
            answers[phase] = OWN_ANSWER[phase]
    return answers, asked, broken


@pytest.mark.parametrize("count", range(1, 6))
def test_in_every_order_each_phase_takes_effect_at_most_once_and_never_both_ways(count: int) -> None:
    for order in itertools.product(Phase, repeat=count):
        answers, asked, broken = outcome(order)
        assert len(asked) == len(set(asked)) == len(answers)
        assert not {Phase.CONFIRM, Phase.CANCEL} <= set(asked)
        if Phase.CONFIRM in asked:
            assert asked.index(Phase.TRY) < asked.index(Phase.CONFIRM)
        if Phase.CANCEL in asked and Phase.TRY in asked:
            assert asked.index(Phase.TRY) < asked.index(Phase.CANCEL)
        if broken == 0 and Phase.CANCEL in order:
            assert Phase.CANCEL in asked


def test_the_participant_reads_its_stored_answers_again() -> None:
    assert PARTICIPANT is not None
    for answer in (TRIED, REFUSED, CONFIRMED, CANCELLED):
        assert PARTICIPANT.answer_types()[answer.type].model_validate(answer.model_dump()) == answer
