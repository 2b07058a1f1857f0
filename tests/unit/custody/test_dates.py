"""The bank's date comes by notice or answer, late, twice, with days between: the services hear every day once, in order."""

from datetime import date, timedelta

from hypothesis import given
from hypothesis import strategies as st

from agents.custody.behaviour import behave
from agents.custody.messages import AskDate, DateAnswered, DateNotice, DateRolled
from agents.custody.model import BankDate
from agents.runtime.calendar import KEY
from agents.runtime.decision import Context, SetTimer
from config.custody import Policy

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
