"""The bank's date comes by notice or answer, late, twice, with days between: the services hear every day once, in order."""

from datetime import date, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.custody.behaviour import behave
from agents.custody.behaviour_date import DAYS_AT_ONCE
from agents.custody.messages import AskDate, DateAnswered, DateNotice, DateRolled
from agents.custody.model import BankDate
from agents.runtime.calendar import KEY
from agents.runtime.decision import Context, SetTimer
from config.custody import ASK_AGAIN_MS, Policy
from config.retry import ASKING_BANK

POLICY = Policy(date_every_ms=2_000)
FIRST = date(2026, 2, 27)


def context(now_ms: int = 1_000) -> Context:
    return Context(KEY, "7d444840-9dc0-51d1-b245-5ffdce74fad2", now_ms)


def test_the_date_is_asked_for_one_question_at_a_time_and_again_by_a_timer() -> None:
    first = behave(None, AskDate(id=KEY), context(), POLICY)
    assert [(a.target, a.number) for a in first.attempts] == [("date", "date:1")]
    assert first.timers == (SetTimer("ask_date", 3_000, AskDate(id=KEY)),)
    second = behave(first.state, AskDate(id=KEY), context(3_000), POLICY)
    assert second.attempts == () and len(second.timers) == 1
    answered = behave(second.state, DateAnswered(id=KEY, date="2026-02-27"), context(3_500), POLICY)
    assert [a.number for a in behave(answered.state, AskDate(id=KEY), context(5_000), POLICY).attempts] == ["date:2"]


def test_the_first_date_is_told_alone_to_every_dated_service() -> None:
    decision = behave(None, DateNotice(id=KEY, date="2026-02-27"), context(), POLICY)
    assert [(s.key, s.topic, s.message) for s in decision.sends] == [
        (KEY, topic, DateRolled(id=KEY, date="2026-02-27")) for topic in ("trading.commands", "repayments.commands")
    ]
    assert decision.business_date == FIRST


@given(st.lists(st.tuples(st.booleans(), st.integers(-3, 40)), max_size=20))
def test_every_day_is_told_once_and_in_order_whatever_is_heard(heard: list[tuple[bool, int]]) -> None:
    state: BankDate | None = BankDate(KEY, FIRST, 0, 0)
    told: list[str] = []
    for by_notice, days in heard:
        day = (FIRST + timedelta(days=days)).isoformat()
        message = DateNotice(id=KEY, date=day) if by_notice else DateAnswered(id=KEY, date=day)
        decision = behave(state, message, context(), POLICY)
        state = decision.state
        told += [s.message.date for s in decision.sends if s.topic == "trading.commands" and isinstance(s.message, DateRolled)]
    latest = max([days for _, days in heard if days > 0], default=0)
    assert told == [(FIRST + timedelta(days=n)).isoformat() for n in range(1, latest + 1)]


@pytest.mark.parametrize("days", [DAYS_AT_ONCE, DAYS_AT_ONCE + 1, 5 * DAYS_AT_ONCE])
def test_a_bank_that_is_far_ahead_is_followed_step_by_step_and_every_step_asks_for_the_next(days: int) -> None:
    state: BankDate | None = BankDate(KEY, FIRST, 0, 0)
    answer = DateAnswered(id=KEY, date=(FIRST + timedelta(days=days)).isoformat())
    told: list[str] = []
    steps = 0
    while True:
        decision = behave(state, answer, context(), POLICY)
        state, steps = decision.state, steps + 1
        assert len(decision.sends) <= 2 * DAYS_AT_ONCE
        told += [s.message.date for s in decision.sends if s.topic == "repayments.commands" and isinstance(s.message, DateRolled)]
        if not decision.timers:
            break
        assert decision.timers == (SetTimer("ask_date", 1_000, AskDate(id=KEY)),)
        assert [a.target for a in behave(state, AskDate(id=KEY), context(), POLICY).attempts] == ["date"]
    assert told == [(FIRST + timedelta(days=n)).isoformat() for n in range(1, days + 1)]
    assert steps == -(-days // DAYS_AT_ONCE)


def test_a_question_for_the_date_that_nobody_answers_is_put_anew_after_its_attempts_are_spent() -> None:
    asked = behave(None, AskDate(id=KEY), context(), POLICY)
    assert behave(asked.state, AskDate(id=KEY), context(1_000 + ASK_AGAIN_MS - 1), POLICY).attempts == ()
    assert [a.number for a in behave(asked.state, AskDate(id=KEY), context(1_000 + ASK_AGAIN_MS), POLICY).attempts] == ["date:2"]


def test_a_question_is_repeated_for_less_long_than_another_one_waits() -> None:
    assert sum(ASKING_BANK.delay_ms(n, "date:1") for n in range(ASKING_BANK.budget)) < ASK_AGAIN_MS
