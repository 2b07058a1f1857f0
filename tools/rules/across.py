"""What must hold between the platform's stores and the bank's; an order that has not ended is in flight and blamed for nothing.

Where both sides speak of one request number they must say the same. The platform never knows of an end before the bank.
"""

from collections import Counter
from typing import Final

from tools.consistency import Finding
from tools.rules.picture import Bid, Flight, Hold, Order, Picture

HOLDING: Final = frozenset({"RAISING", "FULL"})  # a loan in these states has every accepted bid held at the bank
LENT: Final = frozenset({"REPAYING", "SETTLED"})  # and in these none
OPEN_BIDS: Final = frozenset({"PENDING", "RELEASING"})
MOVING: Final = frozenset({"ESTABLISHING", "DISBURSING", "FAILING", "SUSPENDED"})
PLANNED: Final = frozenset({"REPAYING", "SETTLED"})


def broken(picture: Picture) -> list[Finding]:
    """Every rule between stores that does not hold, sorted."""
    found = plans(picture)
    if picture.bank:
        found += [*members(picture), *ends(picture), *sums(picture), *held(picture)]
    return sorted(found)


def in_flight(picture: Picture) -> list[Flight]:
    """What has not ended yet, sorted."""
    flights = [Flight("order", order.id, f"{order.kind} {order.status}") for order in picture.orders.values() if not order.is_final]
    flights += [Flight("bid", bid.id, f"{bid.status}, {bid.amount_fen} fen") for bid in picture.bids.values() if bid.status in OPEN_BIDS]
    flights += [Flight("loan", loan.id, loan.status) for loan in picture.loans.values() if loan.status in MOVING]
    flights += [Flight("plan", plan.id, plan.status) for plan in picture.plans.values() if not plan.is_made]
    flights += [Flight("plan", plan.id, "a collection is open") for plan in picture.plans.values() if plan.busy]
    flights += [
        Flight("loan", loan.id, "its plan is not there yet")
        for loan in picture.loans.values()
        if loan.status == "REPAYING" and loan.id not in picture.plans
    ]
    return sorted(flights)


def plans(picture: Picture) -> list[Finding]:
    """A plan is of a loan that was disbursed, and of its amount; a settled loan has a settled plan."""
    found = [Finding("plan_without_loan", plan, "there is no such loan") for plan in picture.plans if plan not in picture.loans]
    for loan in picture.loans.values():
        plan = picture.plans.get(loan.id)
        if plan is None:
            if loan.status == "SETTLED":
                found.append(Finding("settled_without_plan", loan.id, "there is no plan"))
            continue
        if loan.status not in PLANNED:
            found.append(Finding("plan_of_a_loan_not_lent", loan.id, f"the loan is {loan.status}, its plan {plan.status}"))
        if plan.amount_fen != loan.amount_fen:
            found.append(Finding("plan_of_another_amount", loan.id, f"the loan has {loan.amount_fen} fen, the plan {plan.amount_fen}"))
        if loan.status == "SETTLED" and plan.status != "SETTLED":
            found.append(Finding("settled_before_its_plan", loan.id, f"the plan is {plan.status}"))
    return found


def members(picture: Picture) -> list[Finding]:
    """Every custody account has its member, and every member's custody number is his account at the bank."""
    opening = any(order.kind == "open_account" and not order.is_final for order in picture.orders.values())
    found = []
    for number, member in picture.accounts.items():
        if member not in picture.members:
            found.append(Finding("custody_account_without_member", number, f"there is no member {member}"))
        elif picture.members[member] != number and not (picture.members[member] is None and opening):
            found.append(Finding("custody_account_not_its_members", number, f"member {member} has {picture.members[member]}"))
    return found + [
        Finding("member_without_custody_account", member, f"the bank has no account {number}")
        for member, number in picture.members.items()
        if number is not None and number not in picture.accounts
    ]


def ends(picture: Picture) -> list[Finding]:
    """An order that is final here has the same end, kind and amount at the bank, which has no request that nobody has ordered."""
    found = []
    for order in picture.orders.values():
        request = picture.requests.get(order.id)
        if not order.is_final or (request is None and order.status != "SUCCEEDED"):
            continue
        if request is None:
            found.append(Finding("order_unknown_at_the_bank", order.id, f"{order.kind} has succeeded here"))
        elif (here := _said(order)) != (there := _said(request)):
            found.append(Finding("order_ended_otherwise", order.id, f"{here} here, {there} at the bank"))
    strangers = picture.requests.keys() - picture.orders.keys()
    return found + [
        Finding("request_without_order", which, f"{picture.requests[which].kind} was never ordered here") for which in strangers
    ]


def sums(picture: Picture) -> list[Finding]:
    """Σ final orders here = Σ entries there, kind by kind, over the numbers that have ended on both sides."""
    here, there = Counter[str](), Counter[str]()
    for which, order in picture.orders.items():
        request = picture.requests.get(which)
        if order.is_final and request is not None and request.is_final:
            here[order.kind] += order.amount_fen if order.status == "SUCCEEDED" else 0
            there[request.kind or order.kind] += request.amount_fen if request.status == "SUCCEEDED" else 0
    return [
        Finding("sum_of_orders_differs", kind, f"{here[kind]} fen here, {there[kind]} at the bank")
        for kind in here.keys() | there.keys()
        if here[kind] != there[kind]
    ]


def held(picture: Picture) -> list[Finding]:
    """Accepted bids = holds at the bank as long as their loan raises; what was lent, refused or released is not held."""
    found = []
    for bid in picture.bids.values():
        order, loan = picture.orders.get(bid.id), picture.loans.get(bid.loan)
        if loan is not None and (order is None or order.is_final):
            found += _bid(bid, loan.status, picture.holds.get(bid.id))
    strangers = [hold for hold in picture.holds.values() if hold.purpose == "bid" and hold.left_fen and hold.id not in picture.bids]
    return found + [Finding("hold_without_bid", hold.id, f"{hold.left_fen} fen are held for no bid") for hold in strangers]


def _bid(bid: Bid, loan: str, hold: Hold | None) -> list[Finding]:
    left = hold.left_fen if hold else 0
    said = f"the bid is {bid.status} with {bid.amount_fen} fen, its loan {loan}; {left} fen are held"
    rules = {
        "accepted_bid_not_held": bid.status == "ACCEPTED" and loan in HOLDING and left != bid.amount_fen,
        "lent_bid_still_held": bid.status == "ACCEPTED" and loan in LENT and left,
        "ended_bid_still_held": bid.status in ("REFUSED", "RELEASED") and left,
    }
    return [Finding(rule, bid.id, said) for rule, breaks in rules.items() if breaks]


def _said(what: Order) -> str:
    if what.status != "SUCCEEDED":  # an order that was closed before it was put has no kind at the bank
        return what.status
    return f"{what.kind} {what.status} {what.amount_fen} fen"
