"""A member and the bank: opening, recharge and authorization; each asked once, answered for ever, ended by custody's word."""

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.custody.messages import OrderAwaiting, OrderDisputed, OrderEnded, PlaceOrder
from agents.runtime.decision import Claim, Decision, Message
from agents.users.behaviour import behave
from agents.users.messages import AuthorizeRepay, MemberOpened, OpeningChanged, RequestRecharge, SubmitOpening, TransferChanged
from agents.users.model import Registration, Standing
from tests.unit.users.examples import CONFIRMED, CONFIRMING, KEY, POLICY, TRYING, context

IDS = [f"00000000-0000-4000-9000-{n:012d}" for n in range(4)]
URL = "http://bank/p"


class Desk:
    """One member, told one message after another; everything is seen."""

    def __init__(self, registration: Registration | None = CONFIRMED) -> None:
        self.registration = registration
        self.sent: list[Message] = []
        self.replies: list[Any] = []
        self.freed: list[Claim] = []

    def tell(self, message: Message, **changes: Any) -> Decision[Registration]:
        decision = behave(self.registration, message, context(**changes), POLICY)  # type: ignore[arg-type]
        self.registration = replace(decision.state, changed={}) if decision.state is not None else None
        self.sent += [s.message for s in decision.sends]
        self.freed += decision.frees
        if decision.reply is not None:
            self.replies.append(decision.reply)
        return decision

    @property
    def now(self) -> Registration:
        assert self.registration is not None and self.registration.member is not None
        return self.registration

    def status(self, n: int = 0) -> Standing:
        return self.now.seen[IDS[n]].status

    def orders(self) -> list[PlaceOrder]:
        return [m for m in self.sent if isinstance(m, PlaceOrder)]


def submit(n: int = 0, person: str = "p") -> SubmitOpening:
    return SubmitOpening(id=IDS[n], member=KEY, name="s1.n", id_number="s1.i", card_number="s1.c", person_lookup=person)


def ended(n: int = 0, result: str = "succeeded", **details: Any) -> OrderEnded:
    return OrderEnded(id=IDS[n], kind="x", result=result, reason=None if result == "succeeded" else "name_refused", details=details)


def opened() -> Desk:
    desk = Desk()
    desk.tell(submit())
    desk.tell(ended(custody_no="6001", card="6222****1111"))
    return desk


def test_an_opening_is_put_to_the_bank_with_what_is_personal_sealed() -> None:
    desk = Desk()
    desk.tell(submit())
    [order] = desk.orders()
    assert (order.id, order.kind, order.page, order.content) == (IDS[0], "open_account", True, {"member_id": KEY})
    assert json.loads(order.sealed_content or "") == {"name": "s1.n", "id_number": "s1.i", "card_number": "s1.c", "mobile": "s1.k1.m"}
    assert (order.reply_topic, order.reply_key) == ("users.commands", KEY)
    assert desk.now.member is not None and desk.now.member.opening == IDS[0] and desk.status() is Standing.PENDING


def test_the_member_is_told_the_banks_page_and_then_the_end() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(OrderAwaiting(id=IDS[0], page_url=URL))
    assert desk.replies[-1] == OpeningChanged(id=IDS[0], member=KEY, status="AWAITING", page_url=URL)
    desk.tell(ended(custody_no="6001", card="6222****1111"))
    assert desk.replies[-1] == OpeningChanged(id=IDS[0], member=KEY, status="OPENED")
    member = desk.now.member
    assert member is not None and (member.custody_no, member.card, member.person_lookup, member.opening) == (
        "6001",
        "6222****1111",
        "p",
        None,
    )
    assert [m for m in desk.sent if isinstance(m, MemberOpened)] == [MemberOpened(id=KEY, custody_no="6001")]


@pytest.mark.parametrize(("result", "status"), [("refused", Standing.REFUSED), ("closed", Standing.CLOSED)])
def test_what_the_bank_refuses_gives_the_person_back_and_may_be_tried_again(result: str, status: Standing) -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(ended(result=result))
    assert desk.status() is status and desk.freed == [Claim("person", "p")]
    desk.tell(submit(1))
    assert desk.status(1) is Standing.PENDING


def test_one_opening_is_open_at_a_time_and_the_same_is_answered_as_it_stands() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(submit())
    desk.tell(submit(1))
    assert (desk.status(1), desk.now.seen[IDS[1]].reason, len(desk.orders())) == (Standing.REFUSED, "opening_open", 1)
    assert desk.freed == [], "the person is the open request's"


def test_a_second_opening_is_answered_with_the_open_one_and_its_page() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(OrderAwaiting(id=IDS[0], page_url=URL))
    desk.tell(submit(1, "another"))
    answer = desk.replies[-1]
    assert (answer.id, answer.status, answer.reason, answer.opening, answer.page_url) == (IDS[1], "REFUSED", "opening_open", IDS[0], URL)
    assert desk.freed == [Claim("person", "another")]
    desk.tell(submit(1, "another"))
    assert desk.replies[-1].opening == IDS[0] and desk.replies[-1].status == "REFUSED"


def test_a_person_has_one_membership_with_an_account_and_a_member_one_account() -> None:
    desk = Desk()
    desk.tell(submit(), claims_lost=("person",))
    assert desk.now.seen[IDS[0]].reason == "person_taken" and not desk.orders()
    desk = opened()
    desk.tell(submit(1))
    assert desk.now.seen[IDS[1]].reason == "has_account" and desk.freed == [], "it is his own"
    desk.tell(submit(2, "another"))
    assert desk.freed == [Claim("person", "another")]


@pytest.mark.parametrize("registration", [TRYING, CONFIRMING.but(member=None), None])
@pytest.mark.parametrize("wish", [submit(), RequestRecharge(id=IDS[0], member=KEY, amount_fen=1)])
def test_whoever_is_no_member_gets_nothing_and_nothing_is_kept(registration: Registration | None, wish: Message) -> None:
    desk = Desk(registration)
    decision = desk.tell(wish)
    assert decision.refused and decision.state == registration and desk.replies[-1].reason == "no_member"


@pytest.mark.parametrize(
    ("wish", "kind", "content", "end"),
    [
        (RequestRecharge(id=IDS[1], member=KEY, amount_fen=500), "recharge", {"custody_no": "6001", "amount_fen": 500}, Standing.DONE),
        (
            AuthorizeRepay(id=IDS[1], member=KEY, cap_fen=900, expires_on="2027-01-01"),
            "authorize",
            {"custody_no": "6001", "scope": "repay", "cap_fen": 900, "expires_on": "2027-01-01"},
            Standing.ON,
        ),
    ],
    ids=["recharge", "authorization"],
)
def test_what_a_member_wants_of_his_account_is_an_order_and_its_end_decides(
    wish: Message, kind: str, content: dict[str, Any], end: Standing
) -> None:
    without = Desk()
    without.tell(wish)
    assert without.now.seen[IDS[1]].reason == "no_custody_account" and not without.orders()
    desk = opened()
    for _ in range(2):
        desk.tell(wish)
    [_, order] = desk.orders()
    assert (order.kind, order.content, order.page, order.sealed_content) == (kind, content, True, None)
    desk.tell(ended(1))
    desk.tell(ended(1, "refused"))
    assert desk.status(1) is end


def test_a_dispute_waits_for_a_person_and_a_later_end_of_the_order_ends_it() -> None:
    desk = opened()
    desk.tell(RequestRecharge(id=IDS[1], member=KEY, amount_fen=500))
    desk.tell(OrderDisputed(id=IDS[1], noticed="SUCCEEDED", queried="REFUSED"))
    assert desk.status(1) is Standing.SUSPENDED and isinstance(desk.replies[-1], TransferChanged)
    desk.tell(ended(1))
    assert desk.status(1) is Standing.DONE


@pytest.mark.parametrize("result", ["succeeded", "refused", "closed"])
def test_the_bank_that_contradicts_itself_after_the_end_suspends_what_had_ended(result: str) -> None:
    desk = opened()
    desk.tell(RequestRecharge(id=IDS[1], member=KEY, amount_fen=500))
    desk.tell(ended(1, result))
    desk.tell(OrderDisputed(id=IDS[1], noticed="SUCCEEDED", queried="REFUSED"))
    assert desk.status(1) is Standing.SUSPENDED
    assert desk.now.seen[IDS[1]].reason == "disputed: noticed SUCCEEDED, answered REFUSED"


def test_a_page_that_comes_late_does_not_wake_what_is_suspended() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(OrderDisputed(id=IDS[0], noticed="SUCCEEDED", queried="REFUSED"))
    desk.tell(OrderAwaiting(id=IDS[0], page_url=URL))
    assert desk.status() is Standing.SUSPENDED and desk.now.seen[IDS[0]].page_url is None


def test_an_account_that_the_bank_takes_back_after_a_dispute_is_the_members_no_longer() -> None:
    desk = opened()
    desk.tell(OrderDisputed(id=IDS[0], noticed="SUCCEEDED", queried="REFUSED"))
    member = desk.now.member
    assert member is not None and member.custody_no == "6001", "who decides is a person"
    desk.tell(ended(result="refused"))
    member = desk.now.member
    assert member is not None and (member.custody_no, member.card, member.person_lookup, member.opening) == (None, None, None, None)
    assert desk.status() is Standing.REFUSED and desk.freed == [Claim("person", "p")]


def test_a_second_account_that_a_dispute_brings_waits_for_a_person() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(ended(result="refused"))
    desk.tell(OrderDisputed(id=IDS[0], noticed="SUCCEEDED", queried="REFUSED"))
    desk.tell(submit(1))
    desk.tell(ended(1, custody_no="6002"))
    desk.tell(ended(0, custody_no="6001"))
    member = desk.now.member
    assert member is not None and member.custody_no == "6002"
    assert (desk.status(), desk.now.seen[IDS[0]].reason) == (Standing.SUSPENDED, "second_account: 6001")


def test_the_refusal_of_a_disputed_opening_takes_the_person_from_no_other_request() -> None:
    desk = Desk()
    desk.tell(submit())
    desk.tell(ended(result="refused"))
    desk.tell(OrderDisputed(id=IDS[0], noticed="SUCCEEDED", queried="REFUSED"))
    desk.tell(submit(1))
    desk.tell(ended(0, "refused"))
    assert desk.freed == [Claim("person", "p")], "only the first refusal gave him back"


WORDS = st.lists(
    st.tuples(st.sampled_from(["submit", "awaiting", "succeeded", "refused", "closed", "disputed"]), st.integers(0, 3)), max_size=24
)
OPEN = (Standing.PENDING, Standing.AWAITING)


@given(WORDS)
def test_whatever_comes_an_end_stays_and_a_member_has_one_account_and_one_open_request(words: list[tuple[str, int]]) -> None:
    desk = Desk()
    ends: dict[str, Standing] = {}
    for word, n in words:
        match word:
            case "submit":
                desk.tell(submit(n))
            case "awaiting":
                desk.tell(OrderAwaiting(id=IDS[n], page_url=URL))
            case "disputed":
                desk.tell(OrderDisputed(id=IDS[n], noticed="a", queried="b"))
                ends.pop(IDS[n], None)
            case _:
                desk.tell(ended(n, word, custody_no=f"6{n}"))
        for number, dealing in desk.now.seen.items():
            if dealing.status.is_final:
                assert ends.setdefault(number, dealing.status) is dealing.status
        member = desk.now.member
        assert member is not None
        assert {d.id for d in desk.now.seen.values() if d.status in OPEN} <= {member.opening}
        having = [d.custody_no for d in desk.now.seen.values() if d.custody_no is not None]
        assert having == ([member.custody_no] if member.custody_no else [])
