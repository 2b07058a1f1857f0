"""What the bank tells of its own accord is evidence, and its answer to a query decides (FLOWS 3.6, CASES D25, M22)."""

from typing import Any

import pytest

from agents.custody.messages import (
    Closed,
    CloseOrder,
    NoticeAlone,
    OrderDisputed,
    OrderEnded,
    Queried,
    Registered,
    ResultDue,
)
from agents.custody.model import Status, Stray
from agents.runtime.decision import Message
from tests.unit.custody.desk import ID, NO, URL, Desk, a_notice, an_answer, awaiting, place


def test_what_the_bank_tells_belongs_to_the_trace_of_who_placed_the_order() -> None:
    desk = Desk()
    desk.tell(place(), trace="loan")
    told = [desk.tell(message, trace=ID) for message in (Registered(id=ID, status="AWAITING", page_url=URL), a_notice(), an_answer())]
    assert [decision.trace for decision in told] == ["loan"] * 3
    assert desk.tell(place(), trace="somebody else's").trace == "loan"


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
    after = desk.tell(an_answer()).state
    assert after is not None and not after.unverified and len(desk.said) == count and desk.timers == {}


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


MISFITS: list[dict[str, Any]] = [{"kind": "hold"}, {"amount_fen": 501}, {"amount_fen": 499}]


@pytest.mark.parametrize("changes", MISFITS, ids=["another kind", "a fen more", "a fen less"])
def test_a_notice_that_does_not_fit_is_kept_and_listed_and_the_query_decides(desk: Desk, changes: dict[str, Any]) -> None:
    awaiting(desk).tell(a_notice().model_copy(update=changes))
    assert desk.order is not None and [b.kind for b in desk.order.breaks] == ["misfit"] and len(desk.order.evidence) == 1
    assert desk.order.noticed is None and "notice_alone" not in desk.timers and not desk.order.disputed
    desk.tell(an_answer())
    assert desk.stands() is Status.SUCCEEDED and desk.order.result is not None and desk.order.result.amount_fen == 500


@pytest.mark.parametrize("changes", MISFITS, ids=["another kind", "a fen more", "a fen less"])
def test_an_answer_that_cannot_be_this_order_is_a_break_and_no_end(desk: Desk, changes: dict[str, Any]) -> None:
    awaiting(desk).tell(desk.timers["result_due"])
    desk.tell(an_answer().model_copy(update=changes))
    assert not desk.stands().is_final and desk.order is not None and desk.order.disputed and isinstance(desk.said[-1], OrderDisputed)


@pytest.mark.parametrize(
    ("amount_fen", "page", "fits"),
    [(10_000, False, True), (500, False, True), (0, False, False), (10_001, False, False), (9_999, True, False)],
)
def test_a_collection_under_an_authorization_may_hold_less_and_one_by_page_may_not(amount_fen: int, page: bool, fits: bool) -> None:
    desk = Desk()
    desk.tell(place(kind="collect", page=page, amount_fen=10_000))
    desk.tell(desk.timers["result_due"])
    desk.tell(an_answer(amount_fen=amount_fen).model_copy(update={"kind": "collect"}))
    assert desk.stands().is_final is fits and (desk.order is not None and desk.order.disputed) is not fits


def test_a_refusal_need_not_have_the_amount() -> None:
    desk = Desk()
    desk.tell(place(kind="confirm_repayment", page=False, amount_fen=10_000))
    desk.tell(desk.timers["result_due"])
    desk.tell(an_answer(**{**NO, "amount_fen": 0}).model_copy(update={"kind": "confirm_repayment"}))
    assert desk.stands() is Status.REFUSED


def test_news_of_what_is_under_way_is_kept_and_changes_nothing(desk: Desk) -> None:
    awaiting(desk).tell(a_notice(status="ACCEPTED"))
    assert desk.order is not None and len(desk.order.evidence) == 1 and desk.order.noticed is None and len(desk.asked) == 1
    desk.tell(a_notice("w2"))
    desk.tell(an_answer())
    desk.tell(a_notice("w3", status="ACCEPTED"))
    assert desk.stands() is Status.SUCCEEDED and desk.order.breaks == () and len(desk.order.evidence) == 3


def test_the_same_end_noticed_again_changes_nothing(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer())
    said, asked = list(desk.said), list(desk.asked)
    desk.tell(a_notice("w2"))
    assert (desk.said, desk.asked) == (said, asked) and desk.order is not None and desk.order.breaks == ()


def test_another_end_noticed_after_the_end_is_listed_and_the_bank_is_asked_whether_it_stands(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer())
    said = list(desk.said)
    desk.tell(a_notice("w2", **NO))
    assert desk.order is not None and [b.kind for b in desk.order.breaks] == ["notice"] and desk.said == said
    assert desk.asked[-1] == f"query query:{ID}:{desk.order.asked}"
    desk.tell(an_answer(desk.order.asked))
    assert desk.stands() is Status.SUCCEEDED and not desk.order.disputed and desk.said == said


def test_an_end_that_the_bank_denies_when_it_is_asked_again_is_a_break_that_its_owner_hears_of(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer())
    desk.tell(a_notice("w2", **NO))
    desk.tell(an_answer(2, **NO))
    assert desk.stands() is Status.SUCCEEDED and desk.order is not None and desk.order.disputed
    assert desk.said[-1] == OrderDisputed(id=ID, noticed="SUCCEEDED", queried="REFUSED")


def test_two_notices_that_contradict_each_other_end_nothing_alone_and_the_query_decides(desk: Desk) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(a_notice("w2", **NO))
    assert "notice_alone" not in desk.timers and desk.order is not None and [b.kind for b in desk.order.breaks] == ["notice"]
    desk.tell(an_answer(2))
    assert desk.stands() is Status.SUCCEEDED and not desk.order.disputed


def test_a_notice_has_the_bank_asked_even_while_an_older_question_waits_and_that_ones_answer_is_overtaken(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="ACCEPTED"))
    desk.tell(desk.timers["result_due"])
    desk.tell(a_notice())
    assert desk.asked[1:] == [f"query query:{ID}:1", f"query query:{ID}:2"]
    desk.tell(Queried(id=ID, asked=1, status="ACCEPTED"))
    assert desk.order is not None and not desk.order.disputed and not desk.stands().is_final
    desk.tell(an_answer(2))
    assert desk.stands() is Status.SUCCEEDED


@pytest.mark.parametrize("status", ["UNKNOWN", "AWAITING", "ACCEPTED"])
def test_a_bank_that_after_its_notice_says_that_there_is_no_end_is_a_break(desk: Desk, status: str) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(Queried(id=ID, asked=1, status=status))
    assert desk.said[-1] == OrderDisputed(id=ID, noticed="SUCCEEDED", queried=status) and not desk.stands().is_final


def test_a_notice_of_an_order_that_nobody_placed_is_kept_and_listed() -> None:
    desk = Desk()
    desk.tell(a_notice())
    desk.tell(a_notice("w2"))
    desk.tell(an_answer())
    stray: Any = desk.order
    assert isinstance(stray, Stray) and [e.webhook_id for e in stray.evidence] == ["w1", "w2"]
    assert [b.kind for b in stray.breaks] == ["no_order", "no_order"] and desk.asked == [] and desk.sends == []


def test_an_order_that_is_placed_after_its_notice_keeps_it() -> None:
    desk = Desk()
    desk.tell(a_notice())
    desk.tell(place())
    assert desk.stands() is Status.CREATED and desk.order is not None
    assert len(desk.order.evidence) == len(desk.order.breaks) == 1 and desk.asked == [f"register register:{ID}:1"]


@pytest.mark.parametrize(
    "news",
    [
        a_notice("w9"),
        an_answer(9),
        Registered(id=ID, status="AWAITING", page_url=URL),
        Closed(id=ID, status="CLOSED"),
        CloseOrder(id=ID),
        NoticeAlone(id=ID),
        ResultDue(id=ID, round=1),
    ],
    ids=lambda message: message.type,
)
def test_a_disputed_order_stands_still_whatever_comes(desk: Desk, news: Message) -> None:
    awaiting(desk).tell(a_notice())
    desk.tell(an_answer(**NO))
    status, said, asked = desk.stands(), list(desk.said), list(desk.asked)
    desk.tell(news)
    assert (desk.stands(), desk.said, desk.asked) == (status, said, asked)
