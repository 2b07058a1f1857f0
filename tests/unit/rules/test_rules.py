"""Every rule of `lendbus check` finds its break, names its id, and blames nothing that is only under way."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.unit.rules.pictures import sound
from tools.consistency import Finding
from tools.rules import across, local
from tools.rules.picture import Bid, Hold, Order, Picture

Break = Callable[[Picture], Any]


def all_broken(picture: Picture) -> list[Finding]:
    return sorted([*local.broken(picture), *across.broken(picture)])


def put(field: str, key: str, **changes: Any) -> Break:
    """Change one thing of the picture."""

    def change(picture: Picture) -> None:
        things = getattr(picture, field)
        things[key] = things[key]._replace(**changes)

    return change


def test_nothing_is_found_where_everything_holds() -> None:
    assert all_broken(sound()) == []
    assert across.in_flight(sound()) == []
    assert all_broken(Picture(bank=True)) == []


LOCAL: dict[str, tuple[Break, str, str]] = {
    "more accepted than asked for": (put("bids", "r1", amount_fen=501), "accepted_over_amount", "raising"),
    "lent too little": (put("bids", "l2", status="REFUSED"), "lent_is_not_the_amount", "lent"),
    "a full loan that is not full": (put("loans", "raising", status="FULL"), "lent_is_not_the_amount", "raising"),
    "a sum that the loan has wrong": (put("loans", "raising", accepted_fen=199), "accepted_sum_differs", "raising"),
    "a bid of no loan": (put("bids", "r2", loan="nowhere"), "bids_without_loan", "nowhere"),
    "a plan that is a fen short": (put("plans", "lent", principal_fen=999), "plan_is_not_the_amount", "lent"),
    "a plan of other bids": (put("plans", "lent", bids_fen=1_001), "bids_are_not_the_amount", "lent"),
    "a share lost": (put("plans", "lent", shares_principal_fen=999), "shares_are_not_the_amount", "lent"),
    "interest lost": (put("plans", "lent", shares_interest_fen=31), "shares_are_not_the_pool", "lent"),
    "principal that nobody owes": (put("plans", "lent", outstanding_fen=699), "outstanding_is_not_what_is_left", "lent"),
    "an instalment without its receivables": (
        lambda p: p.instalments.append(p.instalments[0]._replace(number=2, shares_fen=(None, None))),
        "receivables_are_not_the_instalment",
        "lent/2",
    ),
    "an instalment with a fen too much": (
        lambda p: p.instalments.append(p.instalments[0]._replace(number=2, shares_fen=(301, 12))),
        "receivables_are_not_the_instalment",
        "lent/2",
    ),
    "a payment that did not reach everybody": (
        lambda p: p.instalments.append(p.instalments[0]._replace(number=2, shares_paid_fen=(300, 11))),
        "paid_shares_are_not_what_was_paid",
        "lent/2",
    ),
}


@pytest.mark.parametrize("what", LOCAL)
def test_a_break_inside_a_store_is_found_and_named(what: str) -> None:
    spoil, rule, which = LOCAL[what]
    spoil(picture := sound())
    assert (rule, which) in {(finding.rule, finding.id) for finding in local.broken(picture)}


ACROSS: dict[str, tuple[Break, str, str]] = {
    "a plan of nothing": (lambda p: p.loans.pop("lent"), "plan_without_loan", "lent"),
    "a plan of a loan that raises": (put("loans", "lent", status="RAISING"), "plan_of_a_loan_not_lent", "lent"),
    "a plan of another amount": (put("loans", "lent", amount_fen=2_000), "plan_of_another_amount", "lent"),
    "a settled loan that owes": (put("loans", "lent", status="SETTLED"), "settled_before_its_plan", "lent"),
    "a settled loan without plan": (
        lambda p: (p.plans.pop("lent"), put("loans", "lent", status="SETTLED")(p)),
        "settled_without_plan",
        "lent",
    ),
    "an account of a stranger": (lambda p: p.accounts.update({"6002": "m9"}), "custody_account_without_member", "6002"),
    "an account that its member does not know": (
        lambda p: p.accounts.update({"6002": "m2"}),
        "custody_account_not_its_members",
        "6002",
    ),
    "two accounts of one member": (lambda p: p.accounts.update({"6002": "m1"}), "custody_account_not_its_members", "6002"),
    "a member without the account": (lambda p: p.accounts.clear(), "member_without_custody_account", "m1"),
    "an end that the bank does not know": (lambda p: p.requests.pop("l1"), "order_unknown_at_the_bank", "l1"),
    "an end that the bank has otherwise": (put("requests", "l1", status="REFUSED"), "order_ended_otherwise", "l1"),
    "an end before the bank's": (put("requests", "l1", status="ACCEPTED"), "order_ended_otherwise", "l1"),
    "another amount": (put("requests", "r1", amount_fen=201), "order_ended_otherwise", "r1"),
    "another kind": (put("requests", "r1", kind="collect"), "order_ended_otherwise", "r1"),
    "a request that nobody ordered": (
        lambda p: p.requests.update({"x": Order("x", "recharge", "SUCCEEDED", 9)}),
        "request_without_order",
        "x",
    ),
    "sums that differ": (put("requests", "r1", amount_fen=201), "sum_of_orders_differs", "hold"),
    "an accepted bid without its hold": (lambda p: p.holds.pop("r1"), "accepted_bid_not_held", "r1"),
    "an accepted bid with half its hold": (put("holds", "r1", left_fen=100), "accepted_bid_not_held", "r1"),
    "a lent bid that is still held": (put("holds", "l2", left_fen=400), "lent_bid_still_held", "l2"),
    "a released bid that is still held": (put("holds", "f1", left_fen=300), "ended_bid_still_held", "f1"),
    "a hold of nobody": (lambda p: p.holds.update({"h": Hold("h", "bid", 5)}), "hold_without_bid", "h"),
}


@pytest.mark.parametrize("what", ACROSS)
def test_a_break_between_stores_is_found_and_named(what: str) -> None:
    spoil, rule, which = ACROSS[what]
    spoil(picture := sound())
    assert (rule, which) in {(finding.rule, finding.id) for finding in across.broken(picture)}


def test_every_rule_has_its_break() -> None:
    texts = "".join(Path(module.__file__ or "").read_text() for module in (local, across))
    for _, rule, _ in (*LOCAL.values(), *ACROSS.values()):
        assert f'"{rule}"' in texts
    named = set(re.findall(r'Finding\("(\w+)"|"(\w+)"\]?(?::| =) (?:\(|bid\.)', texts))
    assert {a or b for a, b in named} == {rule for _, rule, _ in (*LOCAL.values(), *ACROSS.values())}


FLIGHTS: dict[str, tuple[Break, str, str]] = {
    "an order on its way": (put("orders", "r1", status="ACCEPTED"), "order", "r1"),
    "a bid that waits for its person": (lambda p: p.bids.update({"b": Bid("b", "raising", "PENDING", 10)}), "bid", "b"),
    "a loan that is being disbursed": (
        lambda p: (p.plans.pop("lent"), put("loans", "lent", status="DISBURSING")(p)),
        "loan",
        "lent",
    ),
    "a loan whose plan is not there yet": (lambda p: p.plans.clear(), "loan", "lent"),
    "a plan that is being made": (put("plans", "lent", status="MAKING", shares_principal_fen=500), "plan", "lent"),
    "a payment that is being booked": (put("plans", "lent", busy=True, outstanding_fen=650), "plan", "lent"),
}


@pytest.mark.parametrize("what", FLIGHTS)
def test_what_is_under_way_is_listed_and_not_blamed(what: str) -> None:
    spoil, kind, which = FLIGHTS[what]
    spoil(picture := sound())
    assert (kind, which) in {(flight.kind, flight.id) for flight in across.in_flight(picture)}
    assert all_broken(picture) == []


def test_an_account_that_was_just_opened_is_its_members_soon() -> None:
    picture = sound()
    picture.orders["o2"] = Order("o2", "open_account", "AWAITING", 0)
    picture.requests["o2"] = Order("o2", "open_account", "SUCCEEDED", 0)
    picture.accounts["6002"] = "m2"
    assert all_broken(picture) == []


def test_a_bid_whose_hold_is_not_decided_here_may_be_held_there_or_not() -> None:
    for left in (0, 200):
        picture = sound()
        picture.orders["r1"] = Order("r1", "hold", "ACCEPTED", 200)
        picture.holds["r1"] = Hold("r1", "bid", left)
        assert across.held(picture) == []


def test_without_the_banks_data_nothing_is_said_about_it() -> None:
    picture = sound()
    picture.bank = False
    picture.requests.clear()
    picture.holds.clear()
    picture.accounts.clear()
    assert all_broken(picture) == []


def test_an_order_closed_before_it_was_put_is_one_with_the_banks_memory_of_it() -> None:
    picture = sound()
    picture.requests["c1"] = Order("c1", "", "CLOSED", 0)
    assert all_broken(picture) == []
