"""Telling platforms: the same bytes every time, a row for every try, later and later, until it is acknowledged or given up."""

import asyncio
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

import bank.notifier
from agents.runtime.decision import Attempt, Context, Decision, SetTimer
from bank.messages import NOTIFYING, DayBegan, Ended, NoticeDue, NoticeTried
from bank.notifier import service, try_once
from bank.notifier_behaviour import behave
from bank.notifier_model import Notice, State
from config.bank import NOTICE_ERROR_CHARS_MAX, NOTICES
from config.retry import Schedule
from tests.unit.bank.world import PLATFORM, number
from topics import messages_of

SCHEDULE = Schedule(first_ms=1_000, factor=2, cap_ms=4_000, budget=5)
NO = number("order")
ENDED = Ended(
    id=NO,
    platform=PLATFORM,
    kind="hold",
    status="SUCCEEDED",
    amount_fen=30_000,
    booked_date="2026-03-02",
    reason=None,
    details={"card": "6222****1111"},
)


@dataclass
class Post:
    """One notice and what it wants next; the clock goes on at every message."""

    schedule: Schedule = SCHEDULE
    notice: Notice | None = None
    attempts: list[Attempt] = field(default_factory=list)
    timers: list[SetTimer] = field(default_factory=list)
    now_ms: int = 1_772_409_600_123

    def tell(self, message: Any, *, message_id: str = number("m")) -> Decision[Notice]:
        decision = behave(self.notice, message, Context(NO, message_id, self.now_ms), self.schedule)
        self.notice = decision.state
        self.attempts += decision.attempts
        self.timers += [t for t in decision.timers if isinstance(t, SetTimer)]
        assert decision.sends == () and decision.answer is None
        return decision

    def answered(self, n: int, status: int | None, error: str | None = None) -> Decision[Notice]:
        return self.tell(NoticeTried(id=NO, n=n, at_ms=self.now_ms, took_ms=7, status=status, error=error))

    def wait(self) -> None:
        """The timer that is set is due."""
        due = self.timers.pop()
        self.now_ms = due.due_ms
        self.tell(due.message)

    @property
    def state(self) -> State:
        assert self.notice is not None
        return self.notice.state


@pytest.fixture
def post() -> Post:
    made = Post()
    made.tell(ENDED)
    return made


def test_the_first_try_is_due_at_once_and_carries_the_exact_bytes(post: Post) -> None:
    (first,) = post.attempts
    assert post.notice is not None and first.content["body"] == post.notice.body
    assert (first.target, first.content["n"], first.content["platform"]) == ("webhook", 1, PLATFORM)
    assert first.content["webhook_id"] == post.notice.webhook_id != ""


def test_an_orders_notice_is_the_answer_of_the_api(post: Post) -> None:
    assert post.notice is not None
    assert orjson.loads(post.notice.body) == {
        "type": "order.ended",
        "timestamp": "2026-03-02T00:00:00.123Z",
        "data": {
            "request_no": NO,
            "status": "SUCCEEDED",
            "kind": "hold",
            "amount_fen": 30_000,
            "booked_date": "2026-03-02",
            "reason": None,
            "page_url": None,
            "details": {"card": "6222****1111"},
        },
    }


def test_a_dates_notice_says_the_date() -> None:
    post = Post()
    post.tell(DayBegan(id=NO, platform="another", date="2026-03-03"))
    assert post.notice is not None and post.notice.platform == "another"
    body = orjson.loads(post.notice.body)
    assert (body["type"], body["data"]) == ("date.rolled", {"date": "2026-03-03"})


def test_a_result_that_comes_twice_makes_one_notice(post: Post) -> None:
    before = post.notice
    post.tell(ENDED, message_id=number("other"))
    assert post.notice == before and len(post.attempts) == 1


@pytest.mark.parametrize("status", [200, 202, 204, 299])
def test_two_hundreds_acknowledge_and_nothing_follows(post: Post, status: int) -> None:
    post.answered(1, status)
    assert post.state is State.ACKNOWLEDGED and post.timers == [] and len(post.attempts) == 1


def test_gone_ends_the_tries_at_once(post: Post) -> None:
    post.answered(1, 410)
    assert post.state is State.GONE and post.timers == []


@pytest.mark.parametrize("status", [100, 199, 300, 301, 307, 400, 401, 403, 404, 409, 429, 500, 503, None])
def test_anything_else_is_tried_again_with_the_same_bytes_and_a_number_of_its_own(post: Post, status: int | None) -> None:
    post.answered(1, status, None if status else "OSError: no route")
    assert post.state is State.SENDING
    post.wait()
    one, two = post.attempts
    assert {**one.content, "n": 2} == dict(two.content) and one.number != two.number


def test_tries_come_later_and_later_and_end_with_the_budget(post: Post) -> None:
    waits = []
    for n in range(1, SCHEDULE.budget):
        post.answered(n, 503)
        waits.append(post.timers[0].due_ms - post.now_ms)
        post.wait()
    assert waits == sorted(waits) and waits[0] >= 800 and waits[-1] <= SCHEDULE.cap_ms
    post.answered(SCHEDULE.budget, 503)
    assert post.state is State.GIVEN_UP and post.timers == []
    assert post.notice is not None and [t.n for t in post.notice.new_tries] == [1, 2, 3, 4, 5] and post.notice.tries == 5


def test_two_notices_of_one_moment_are_not_tried_again_in_one_moment() -> None:
    due = set()
    for n in range(20):
        post = Post()
        post.tell(ENDED, message_id=number(n))
        post.answered(1, 503)
        due.add(post.timers[0].due_ms)
    assert len(due) > 10


def test_what_came_of_a_try_is_kept_with_its_time_and_its_cause(post: Post) -> None:
    post.answered(1, None, "TimeoutError: ")
    assert post.notice is not None
    (row,) = post.notice.new_tries
    assert (row.n, row.at_ms, row.took_ms, row.status, row.error) == (1, post.now_ms, 7, None, "TimeoutError: ")


TOLD = st.lists(
    st.one_of(
        st.tuples(st.just("ended")),
        st.tuples(st.just("tried"), st.integers(1, 7), st.sampled_from([200, 410, 500, None])),
        st.tuples(st.just("due"), st.integers(1, 7)),
    ),
    max_size=30,
)


@given(TOLD)
def test_whatever_is_told_twice_or_late_every_try_counts_once_and_what_is_final_stays(told: list[Any]) -> None:
    post = Post()
    post.tell(ENDED)
    assert post.notice is not None
    body = post.notice.body
    for what in told:
        before = post.notice
        match what:
            case ("ended",):
                post.tell(ENDED)
            case ("tried", n, status):
                post.answered(n, status)
            case ("due", n):
                post.tell(NoticeDue(id=NO, n=n))
        assert post.notice.body == body
        assert [t.n for t in post.notice.new_tries] == list(range(1, post.notice.tries + 1))
        assert post.notice.tries <= SCHEDULE.budget
        if before.state.is_final:
            assert post.notice == before
    numbers: dict[str, int] = {}
    for attempt in post.attempts:  # the pool asks a number once while it is open
        assert numbers.setdefault(attempt.number, attempt.content["n"]) == attempt.content["n"]


@pytest.mark.parametrize("message", [NoticeDue(id=NO, n=1), NoticeTried(id=NO, n=1, at_ms=1, took_ms=1, status=200, error=None)])
def test_a_try_of_nothing_makes_nothing(message: Any) -> None:
    post = Post()
    assert post.tell(message) == Decision.stay(None)


def tried(post: Any) -> NoticeTried:
    asked = {"id": NO, "n": 3, "platform": PLATFORM, "webhook_id": "msg_1", "body": '{"名":"\\u4f60"}'}
    return asyncio.run(try_once(post, "number", asked))


def test_a_try_posts_exactly_the_bytes_and_tells_the_status() -> None:
    posted = []

    async def post(*args: Any) -> int:
        posted.append(args)
        return 204

    said = tried(post)
    assert posted == [(PLATFORM, "msg_1", '{"名":"\\u4f60"}'.encode())]
    assert (said.id, said.n, said.status, said.error) == (NO, 3, 204, None) and said.took_ms >= 0 and said.at_ms > 0


class Speechless(Exception):
    """One whose own text fails, as aiohttp's do when a connection was never made."""

    __module__ = "builtins"

    def __str__(self) -> str:
        raise AttributeError("ssl")


@pytest.mark.parametrize(
    ("raised", "error"),
    [
        (ConnectionRefusedError(111, "refused"), "ConnectionRefusedError: [Errno 111] refused"),
        (RuntimeError("two\nlines\x00"), "RuntimeError: two lines "),
        (Speechless(), "Speechless: <exception str() failed>"),
        (ValueError("x" * 9_999), "ValueError: " + "x" * (NOTICE_ERROR_CHARS_MAX - len("ValueError: "))),
    ],
    ids=["refused", "unprintable", "speechless", "long"],
)
def test_whatever_a_try_raises_is_a_try_that_failed(raised: Exception, error: str) -> None:
    async def post(*_: Any) -> int:
        raise raised

    said = tried(post)
    assert (said.status, said.error) == (None, error)


def test_a_platform_that_does_not_answer_in_time_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bank.notifier, "NOTICE_CALL_MS_MAX", 5)

    async def post(*_: Any) -> int:
        await asyncio.Event().wait()
        raise AssertionError("never")

    said = tried(post)
    assert said.status is None and said.error == "TimeoutError"


def test_the_notifier_understands_everything_that_stands_on_its_topic() -> None:
    async def post(*_: Any) -> int:
        return 200

    assert set(NOTIFYING) == set(messages_of("bank.results")) == set(service(post, NOTICES).messages)
