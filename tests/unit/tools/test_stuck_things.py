"""Which business things wait for a person, what may be done about each, and what its actor is told then."""

from types import SimpleNamespace
from typing import Any

import pytest

from tools.output import Failed
from tools.stuck_things import FAIL, RELEASE, RETRY, Thing, of_collection, of_dealing, of_loan, of_order, saying
from topics import FailListing, Message, ReleaseCollection, ResumeLoan, RetryCollection

SINCE_MS = 1_795_568_361_844


def loan(stood: str, confirm_no: str | None = None) -> Thing:
    return of_loan(SimpleNamespace(id="L", stood=stood, confirm_no=confirm_no, reason="set_differs", changed_ms=SINCE_MS))


def collection() -> Thing:
    return of_collection(SimpleNamespace(id="C", loan="L", reason="set_differs", amount_fen=900, changed_ms=SINCE_MS))


def order() -> Thing:
    said: dict[str, Any] = {"id": "O", "kind": "hold", "status": "SUCCEEDED", "what": "amount", "noticed": "5", "queried": "6"}
    return of_order(SimpleNamespace(**said, at_ms=SINCE_MS))


def dealing() -> Thing:
    return of_dealing(SimpleNamespace(id="D", kind="transfer", member="M", reason="disputed: noticed A, answered B", changed_ms=SINCE_MS))


@pytest.mark.parametrize(
    ("stood", "actions"),
    [
        ("DISBURSING", (RETRY, FAIL)),
        ("RAISING", (RETRY, FAIL)),
        ("FULL", (RETRY, FAIL)),
        ("FAILING", (RETRY, FAIL)),
        ("REPAYING", (RETRY,)),
        ("SETTLED", (RETRY,)),
        ("ESTABLISHING", (FAIL,)),
    ],
)
def test_a_loan_may_be_tried_again_or_failed_by_where_it_stood(stood: str, actions: tuple[str, ...]) -> None:
    thing = loan(stood)
    assert thing.actions == actions
    assert thing.row()["state"] == f"suspended while {stood}"


def test_a_loan_of_which_nobody_knows_whether_its_money_has_moved_has_no_safe_action() -> None:
    assert loan("DISBURSING", "an order that is disputed").actions == ()


@pytest.mark.parametrize(
    ("thing", "action", "said"),
    [
        (loan("DISBURSING"), RETRY, ResumeLoan(id="L", operator="local:me")),
        (loan("FULL"), FAIL, FailListing(id="L", operator="local:me", reason="why")),
        (collection(), RETRY, RetryCollection(id="L", operator="local:me")),
        (collection(), RELEASE, ReleaseCollection(id="L", operator="local:me")),
    ],
)
def test_its_actor_is_told_in_the_operators_name(thing: Thing, action: str, said: Message) -> None:
    assert saying(thing, action, operator="local:me", reason="why") == said


@pytest.mark.parametrize(
    ("thing", "action"),
    [
        (loan("ESTABLISHING"), RETRY),
        (loan("DISBURSING"), RELEASE),
        (collection(), FAIL),
        (order(), RETRY),
        (order(), RELEASE),
        (dealing(), RETRY),
    ],
)
def test_what_is_not_safe_is_not_done(thing: Thing, action: str) -> None:
    with pytest.raises(Failed, match=f"{thing.id} cannot be told to {action}"):
        saying(thing, action, operator="local:me", reason="why")


def test_a_disputed_order_shows_both_sides_and_has_no_action() -> None:
    row = order().row()
    assert row["reason"] == "amount: noticed 5, queried 6"
    assert row["actions"] == ()
    assert (row["kind"], row["state"], row["since_ms"]) == ("order hold", "disputed, SUCCEEDED", SINCE_MS)


def test_a_suspended_collection_says_what_is_held_and_speaks_to_its_plan() -> None:
    row = collection().row()
    assert row["reason"] == "set_differs, 900 fen are held"
    assert (row["id"], row["actor"], row["actions"]) == ("C", "L", (RETRY, RELEASE))


def test_a_members_suspended_request_is_shown_with_its_member_and_waits_with_its_order() -> None:
    row = dealing().row()
    assert (row["id"], row["service"], row["kind"], row["actor"], row["actions"]) == ("D", "users", "transfer", "M", ())
    assert (row["state"], row["reason"]) == ("suspended", "disputed: noticed A, answered B")
