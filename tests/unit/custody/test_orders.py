"""An order at the bank on its way: FLOWS 3, rows 1 to 3, 7 and 8."""

from typing import Any

import pytest

from agents.custody.messages import (
    Closed,
    CloseOrder,
    NoticeAlone,
    OrderAwaiting,
    OrderDisputed,
    OrderEnded,
    Queried,
    Registered,
    ResultDue,
)
from agents.custody.model import Status
from config.custody import ASK_AGAIN_MS
from tests.unit.custody.desk import END, ID, POLICY, URL, Desk, an_answer, awaiting, place


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


@pytest.mark.parametrize(
    "changes", [{"content": {"custody_no": "7", "amount_fen": 500}}, {"kind": "hold"}, {"reply_key": "other"}, {"amount_fen": 501}]
)
def test_the_same_number_with_other_content_is_refused_listed_and_told_to_whoever_asks(desk: Desk, changes: dict[str, Any]) -> None:
    before = desk.stands()
    desk.tell(place(**changes))
    assert desk.order is not None and [b.kind for b in desk.order.breaks] == ["content_differs"] and not desk.order.disputed
    assert (desk.stands(), len(desk.asked)) == (before, 1)
    told = OrderDisputed(id=ID, noticed="content_differs", queried="CREATED")
    assert desk.sends == [(changes.get("reply_key", "member"), "users.commands", told)]


def test_what_is_sealed_anew_is_the_same_order(desk: Desk) -> None:
    desk.tell(place(sealed_content="another ciphertext"))
    assert desk.order is not None and desk.order.breaks == () and desk.sends == []


def test_an_answer_from_before_the_end_says_nothing_against_it(desk: Desk) -> None:
    awaiting(desk).tell(desk.timers["result_due"])
    desk.tell(CloseOrder(id=ID))
    desk.tell(Closed(id=ID, status="CLOSED"))
    desk.tell(Queried(id=ID, asked=1, status="AWAITING", page_url=URL))
    assert desk.stands() is Status.CLOSED and desk.order is not None and not desk.order.disputed


@pytest.mark.parametrize("late", ["AWAITING", "ACCEPTED"])
def test_an_order_never_goes_back(desk: Desk, late: str) -> None:
    desk.tell(Registered(id=ID, status="ACCEPTED"))
    desk.tell(Registered(id=ID, status=late, page_url=URL))
    desk.tell(Queried(id=ID, asked=0, status=late, page_url=URL))
    assert desk.stands() is Status.ACCEPTED and desk.sends == []


def test_what_the_bank_does_not_know_is_registered_again_under_its_number(desk: Desk) -> None:
    desk.tell(desk.timers["result_due"])
    desk.tell(Queried(id=ID, asked=1, status="UNKNOWN"))
    assert desk.asked == [f"register register:{ID}:1", f"query query:{ID}:1", f"register register:{ID}:2"]
    assert desk.stands() is Status.CREATED


def test_one_question_of_the_timer_waits_at_a_time_unless_it_has_for_longer_than_it_is_repeated(desk: Desk) -> None:
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
    awaiting(desk).tell(desk.timers["result_due"])
    desk.tell(Queried(id=ID, asked=1, status="AWAITING"), after_ms=POLICY.awaiting_ms_max + 1)
    assert desk.asked[-1].startswith("close close:") and not desk.stands().is_final
    desk.tell(Closed(id=ID, status="CLOSED", reason="closed"))
    assert desk.stands() is Status.CLOSED and isinstance(desk.said[-1], OrderEnded) and desk.said[-1].result == "closed"


def test_the_members_time_begins_when_he_can_see_the_page_not_when_the_order_was_placed(desk: Desk) -> None:
    desk.tell(desk.timers["result_due"], after_ms=POLICY.awaiting_ms_max * 3)  # the bank was away
    desk.tell(Registered(id=ID, status="AWAITING", page_url=URL))
    desk.tell(Queried(id=ID, asked=1, status="AWAITING", page_url=URL), after_ms=POLICY.awaiting_ms_max - 1)
    assert not any(asked.startswith("close") for asked in desk.asked)


def test_the_page_may_become_known_by_a_query(desk: Desk) -> None:
    desk.tell(desk.timers["result_due"])
    desk.tell(Queried(id=ID, asked=1, status="AWAITING", page_url=URL))
    assert desk.stands() is Status.AWAITING_MEMBER and desk.said == [OrderAwaiting(id=ID, page_url=URL)]


@pytest.mark.parametrize("status", ["AWAITING", "ACCEPTED", "UNKNOWN"])
def test_what_is_given_up_is_closed_and_shown_to_nobody_whatever_comes_of_it_meanwhile(desk: Desk, status: str) -> None:
    desk.tell(desk.timers["result_due"])
    desk.tell(CloseOrder(id=ID))
    desk.tell(Registered(id=ID, status="AWAITING", page_url=URL))
    desk.tell(Queried(id=ID, asked=1, status=status, page_url=URL))
    assert desk.said == [] and [a.split(" ")[0] for a in desk.asked] == ["register", "query", "close", "close", "close"]
    desk.tell(Closed(id=ID, status="CLOSED", reason="closed"))
    assert desk.stands() is Status.CLOSED and [type(m) for m in desk.said] == [OrderEnded]


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


def test_what_was_registered_twice_and_then_rejected_is_ended_by_the_bank_only(desk: Desk) -> None:
    desk.tell(desk.timers["result_due"])
    desk.tell(Queried(id=ID, asked=1, status="UNKNOWN"))
    desk.tell(Registered(id=ID, status="REJECTED", reason="invalid_content"))
    assert not desk.stands().is_final and desk.asked[-1].startswith("close close:")
    desk.tell(Closed(id=ID, **END))
    assert desk.stands() is Status.SUCCEEDED


def test_a_registration_may_be_answered_with_the_end(desk: Desk) -> None:
    desk.tell(Registered(id=ID, **END))
    assert desk.stands() is Status.SUCCEEDED and desk.timers == {}


def test_a_number_that_is_another_orders_at_the_bank_is_a_break(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="REJECTED", reason="content_differs"))
    assert desk.stands() is Status.CREATED and isinstance(desk.said[-1], OrderDisputed)


def test_a_direct_order_is_accepted_and_then_ended(desk: Desk) -> None:
    desk.tell(Registered(id=ID, status="ACCEPTED"))
    assert desk.stands() is Status.ACCEPTED and desk.sends == []
    desk.tell(an_answer())
    assert desk.stands() is Status.SUCCEEDED


def test_an_order_that_nobody_placed_is_nothing_to_ask_about() -> None:
    desk = Desk()
    for message in (an_answer(), CloseOrder(id=ID), NoticeAlone(id=ID), ResultDue(id=ID, round=1), Closed(id=ID, status="CLOSED")):
        desk.tell(message)
    assert desk.order is None and desk.asked == [] and desk.sends == []
