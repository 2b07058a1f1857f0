"""An order at the bank: every row of FLOWS 3, and any order of news."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.custody.behaviour import behave
from agents.custody.messages import (
    Closed,
    CloseOrder,
    Notice,
    NoticeAlone,
    OrderAwaiting,
    OrderDisputed,
    OrderEnded,
    PlaceOrder,
    Queried,
    Registered,
    ResultDue,
)
from agents.custody.model import Order, Status
from agents.runtime.decision import ClearTimer, Context, Decision, Message, SetTimer
from config.custody import ASK_AGAIN_MS, Policy

ID = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
URL = "http://bank/pages/x"
POLICY = Policy()
END: dict[str, Any] = {"status": "SUCCEEDED", "amount_fen": 500, "booked_date": "2026-03-02", "reason": None, "details": {"a": 1}}
NO: dict[str, Any] = {"status": "REFUSED", "amount_fen": 500, "booked_date": None, "reason": "insufficient", "details": {}}


class Desk:
    """One order, told one message after another."""

    def __init__(self) -> None:
        self.order: Order | None = None
        self.now_ms = 1_000_000
        self.sends: list[tuple[str, str | None, Message]] = []
        self.asked: list[str] = []
        self.timers: dict[str, Message] = {}
        self.count = 0

    def tell(self, message: Message, *, after_ms: int = 1) -> Decision[Any]:
        self.now_ms += after_ms
        self.count += 1
        context = Context(ID, f"00000000-0000-4000-8000-{self.count:012d}", self.now_ms)
        decision = behave(self.order, message, context, POLICY)
        self.order = decision.state
        self.sends += [(s.key, s.topic, s.message) for s in decision.sends]
        self.asked += [f"{a.target} {a.number}" for a in decision.attempts]
        for timer in decision.timers:
            if isinstance(timer, SetTimer):
                self.timers[timer.name] = timer.message
            elif isinstance(timer, ClearTimer):
                self.timers.pop(timer.name, None)
        return decision

    def stands(self) -> Status:
        assert self.order is not None
        return self.order.status

    @property
    def said(self) -> list[Message]:
        return [message for _, _, message in self.sends]


def place(**changes: Any) -> PlaceOrder:
    said: dict[str, Any] = {
        "id": ID, "kind": "recharge", "content": {"custody_no": "6", "amount_fen": 500}, "page": True, "amount_fen": 500,
        "reply_topic": "users.commands", "reply_key": "member",
    }  # fmt: skip
    return PlaceOrder(**{**said, **changes})


def a_notice(webhook: str = "w1", **changes: Any) -> Notice:
    return Notice(id=ID, webhook_id=webhook, body="{}", kind="recharge", **{**END, **changes})


def an_answer(asked: int = 1, **changes: Any) -> Queried:
    return Queried(id=ID, asked=asked, kind="recharge", **{**END, **changes})


@pytest.fixture
def desk() -> Desk:
    made = Desk()
    made.tell(place())
    return made


def awaiting(desk: Desk) -> Desk:
    desk.tell(Registered(id=ID, status="AWAITING", page_url=URL))
    return desk


def test_an_order_is_registered_at_the_bank_and_looked_after_by_a_timer(desk: Desk) -> None:
    assert (desk.stands(), desk.asked) == (Status.CREATED, [f"register register:{ID}:1"])
    assert desk.timers["result_due"] == ResultDue(id=ID, round=1) and desk.sends == []


def test_the_page_is_told_to_whoever_placed_it_on_its_own_topic(desk: Desk) -> None:
    awaiting(desk)
    assert desk.stands() is Status.AWAITING_MEMBER
    assert desk.sends == [("member", "users.commands", OrderAwaiting(id=ID, page_url=URL))]


def test_an_order_placed_again_is_answered_as_it_stands_and_not_put_again(desk: Desk) -> None:
    awaiting(desk).tell(place())
    assert desk.said == [OrderAwaiting(id=ID, page_url=URL)] * 2 and len(desk.asked) == 1
    desk.tell(an_answer())
    desk.tell(place())
    assert [type(m) for m in desk.said[2:]] == [OrderEnded, OrderEnded]


@pytest.mark.parametrize("changes", [{"content": {"custody_no": "7", "amount_fen": 500}}, {"kind": "hold"}, {"reply_key": "other"}])
def test_the_same_number_with_other_content_is_a_break_and_nothing_else(desk: Desk, changes: dict[str, Any]) -> None:
    before = desk.stands()
    desk.tell(place(**changes))
    assert desk.order is not None and [b.kind for b in desk.order.breaks] == ["content_differs"]
    assert (desk.stands(), len(desk.asked), desk.sends) == (before, 1, [])


def test_a_notice_is_kept_and_the_query_is_asked_at_once(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    assert desk.order is not None and [e.webhook_id for e in desk.order.evidence] == ["w1"]
    assert desk.stands() is Status.AWAITING_MEMBER and desk.asked[-1] == f"query query:{ID}:1"


def test_the_querys_answer_makes_it_final_and_its_timers_go(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer())
    assert desk.stands() is Status.SUCCEEDED and desk.timers == {}
    ended = desk.said[-1]
    assert ended == OrderEnded(id=ID, kind="recharge", result="succeeded", booked_date="2026-03-02", amount_fen=500, details={"a": 1})


def test_a_notice_that_nobody_confirms_for_a_minute_ends_it_unverified_and_the_asking_goes_on(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(desk.timers["notice_alone"], after_ms=60_000)
    assert desk.stands() is Status.SUCCEEDED and desk.order is not None and desk.order.unverified
    assert isinstance(desk.said[-1], OrderEnded) and desk.said[-1].unverified and "result_due" in desk.timers
    count = len(desk.said)
    desk.tell(an_answer())
    assert not desk.order.unverified and len(desk.said) == count and desk.timers == {}


def test_an_unverified_end_that_the_bank_denies_is_a_break_and_stays_as_it_is(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(desk.timers["notice_alone"])
    desk.tell(an_answer(**NO))
    assert desk.stands() is Status.SUCCEEDED and desk.order is not None and desk.order.disputed
    assert desk.said[-1] == OrderDisputed(id=ID, noticed="SUCCEEDED", queried="REFUSED")


def test_a_notice_and_an_answer_that_disagree_are_a_break_and_the_order_keeps_its_state(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer(**NO))
    assert desk.stands() is Status.AWAITING_MEMBER and desk.order is not None
    assert desk.said[-1] == OrderDisputed(id=ID, noticed="SUCCEEDED", queried="REFUSED")
    assert [(b.kind, b.noticed, b.queried) for b in desk.order.breaks] == [("query", "SUCCEEDED", "REFUSED")]
    desk.tell(an_answer())
    assert desk.stands() is Status.AWAITING_MEMBER, "a person decides now"


@pytest.mark.parametrize(
    "changes", [{"kind": "hold"}, {"amount_fen": 501}, {"status": "AWAITING"}], ids=["another kind", "more money", "not final"]
)
def test_a_notice_that_does_not_fit_is_a_break_and_no_end(desk: Desk, changes: dict[str, Any]) -> None:
    awaiting(desk).tell(a_notice().model_copy(update=changes))
    assert not desk.stands().is_final and isinstance(desk.said[-1], OrderDisputed)


def test_the_same_notice_again_changes_nothing_and_another_end_is_a_break(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer())
    count = len(desk.said)
    desk.tell(a_notice())
    assert len(desk.said) == count
    desk.tell(a_notice("w2", **NO))
    assert desk.stands() is Status.SUCCEEDED and isinstance(desk.said[-1], OrderDisputed)


def test_what_the_bank_does_not_know_is_registered_again_under_its_number(desk: Desk) -> None:
    desk.tell(desk.timers["result_due"])
    desk.tell(Queried(id=ID, asked=1, status="UNKNOWN"))
    assert desk.asked == [f"register register:{ID}:1", f"query query:{ID}:1", f"register register:{ID}:2"]
    assert desk.stands() is Status.CREATED


def test_one_question_waits_at_a_time_unless_it_has_for_hours(desk: Desk) -> None:
    awaiting(desk).tell(desk.timers["result_due"])
    desk.tell(desk.timers["result_due"])
    assert len(desk.asked) == 2
    desk.tell(desk.timers["result_due"], after_ms=ASK_AGAIN_MS)
    assert desk.asked[-1] == f"query query:{ID}:2"


def test_a_firing_that_a_later_one_has_overtaken_does_nothing(desk: Desk) -> None:
    old = desk.timers["result_due"]
    desk.tell(old)
    asked = len(desk.asked)
    desk.tell(old)
    assert len(desk.asked) == asked


def test_a_member_who_takes_too_long_has_his_order_closed_at_the_bank(desk: Desk) -> None:
    awaiting(desk)
    desk.tell(Queried(id=ID, asked=1, status="AWAITING"), after_ms=POLICY.awaiting_ms_max + 1)
    assert desk.asked[-1].startswith("close close:") and not desk.stands().is_final
    desk.tell(Closed(id=ID, status="CLOSED", reason="closed"))
    assert desk.stands() is Status.CLOSED and isinstance(desk.said[-1], OrderEnded) and desk.said[-1].result == "closed"


def test_who_gives_an_order_up_gets_what_the_bank_makes_of_it(desk: Desk) -> None:
    awaiting(desk).tell(CloseOrder(id=ID))
    desk.tell(Closed(id=ID, **END))
    assert desk.stands() is Status.SUCCEEDED
    desk.tell(CloseOrder(id=ID))
    assert isinstance(desk.said[-1], OrderEnded) and desk.said[-1].result == "succeeded"


def test_each_asking_to_close_is_one_of_its_own(desk: Desk) -> None:
    desk.tell(CloseOrder(id=ID))
    desk.tell(CloseOrder(id=ID))
    assert len(set(desk.asked)) == 3


def test_what_the_bank_will_never_take_is_refused(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="REJECTED", reason="invalid_content"))
    assert desk.stands() is Status.REFUSED and isinstance(desk.said[-1], OrderEnded) and desk.said[-1].reason == "invalid_content"


def test_a_number_that_is_another_orders_at_the_bank_is_a_break(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="REJECTED", reason="content_differs"))
    assert desk.stands() is Status.CREATED and isinstance(desk.said[-1], OrderDisputed)


def test_a_direct_order_is_accepted_and_then_ended(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="ACCEPTED"))
    assert desk.stands() is Status.ACCEPTED and desk.sends == []
    desk.tell(an_answer())
    assert desk.stands() is Status.SUCCEEDED


def test_an_order_that_nobody_placed_is_nothing() -> None:
    desk = Desk()
    for message in (a_notice(), an_answer(), CloseOrder(id=ID), NoticeAlone(id=ID)):
        desk.tell(message)
    assert desk.order is None and desk.asked == []


NEWS = st.lists(
    st.one_of(
        st.just("place"), st.just("awaiting"), st.just("accepted"), st.just("notice"), st.just("query"), st.just("unknown"), st.just("due"),
        st.just("alone"), st.just("close"), st.just("closed"),
    ),
    max_size=25,
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(NEWS)
def test_whatever_comes_in_which_order_an_end_is_told_once_never_changes_and_truth_wins(news: list[str]) -> None:
    desk = Desk()
    desk.tell(place())
    final: Status | None = None
    for word in [*news, "query"]:
        match word:
            case "place":
                desk.tell(place())
            case "awaiting":
                desk.tell(Registered(id=ID, status="AWAITING", page_url=URL))
            case "accepted":
                desk.tell(Registered(id=ID, status="ACCEPTED"))
            case "notice":
                desk.tell(a_notice())
            case "query":
                desk.tell(an_answer())
            case "unknown":
                if final is None:
                    desk.tell(Queried(id=ID, asked=1, status="UNKNOWN"))
            case "due":
                desk.tell(desk.timers.get("result_due", ResultDue(id=ID, round=0)))
            case "alone":
                desk.tell(NoticeAlone(id=ID))
            case "close":
                desk.tell(CloseOrder(id=ID))
            case "closed":
                desk.tell(Closed(id=ID, **END))
        if final is not None:
            assert desk.stands() is final
        final = desk.stands() if desk.stands().is_final else None
    assert desk.stands() is Status.SUCCEEDED and not any(isinstance(m, OrderDisputed) for m in desk.said)
    results = {m.result for m in desk.said if isinstance(m, OrderEnded)}
    assert results == {"succeeded"} and "result_due" not in desk.timers
