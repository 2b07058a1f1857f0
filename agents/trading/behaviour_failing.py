"""A listing that fails (流标) gives everything back: holds released, open bids closed, step by step, then the project is closed.

A step takes up the bids that have not ended; `ending` counts those of them whose end is awaited. What a loan that was suspended had
begun to give back is begun again: a bid that is over by then answers at once.
"""

from agents.custody.messages import CloseOrder, OrderEnded
from agents.runtime.decision import Context, Decision, Message, Send, derived_id
from agents.trading.behaviour_listing import become, direct, stand, suspend
from agents.trading.messages import BidChanged, FailStep
from agents.trading.model import EVERY, Bid, BidStatus, Loan, Status

ENDED_ALREADY = "not_held"  # the bank's word for a hold that is over: what was wanted
CLOSED_ALREADY = "project_closed"
UNENDED = (BidStatus.ACCEPTED, BidStatus.PENDING, BidStatus.RELEASING, BidStatus.SUSPENDED)


def fail(loan: Loan, context: Context, reason: str) -> Decision[Loan]:
    """From now on it takes nothing more; the first step is a message to itself."""
    if loan.status in (Status.FAILING, Status.FAILED):
        return stand(loan)
    begun = loan.but(reason=reason, failing_after=0, ending=0, close_no=None)
    decision = become(begun, Status.FAILING, context, reason=reason)
    return decision._replace(sends=(*decision.sends, Send(loan.id, FailStep(id=loan.id, after="0"))))


def step(loan: Loan, command: FailStep, context: Context) -> Decision[Loan]:
    """The next bids: what is held is released, what may come to be held is closed; each of them ends by the bank's answer."""
    if loan.status is not Status.FAILING or loan.failing_after != int(command.after):
        return Decision.stay(loan)
    bids, reach = loan.next_bids(loan.failing_after, *UNENDED)
    after, sends = loan.but(ending=loan.ending + len(bids), changed_ms=context.instant_ms), []
    for bid in bids:
        after, send = _taken_up(after, bid, context)
        sends.append(send)
    if reach < EVERY:
        return Decision(after.but(failing_after=reach), sends=(*sends, Send(loan.id, FailStep(id=loan.id, after=str(reach)))))
    return close_when_empty(Decision(after.but(failing_after=None), sends=tuple(sends)), context)


def _taken_up(loan: Loan, bid: Bid, context: Context) -> tuple[Loan, Send]:
    match bid.status:
        case BidStatus.PENDING:
            return loan, Send(bid.id, CloseOrder(id=bid.id))
        case BidStatus.ACCEPTED:
            left = loan.but(accepted_fen=loan.accepted_fen - bid.amount_fen, accepted=loan.accepted - 1)
            return given_back(left, bid, context)
        case BidStatus.SUSPENDED:
            return given_back(loan.but(reserved_fen=loan.reserved_fen - bid.amount_fen), bid, context)
        case _:
            return given_back(loan, bid, context)


def is_taken_up(loan: Loan, bid: Bid) -> bool:
    """Whether a step has counted this bid among those that are ending."""
    return loan.where is Status.FAILING and (loan.failing_after is None or bid.place <= loan.failing_after)


def given_back(loan: Loan, bid: Bid, context: Context) -> tuple[Loan, Send]:
    """The hold is released, by an order of its own each time that it is asked for."""
    number = derived_id(context.message_id, f"release:{bid.id}")
    going = bid.but(status=BidStatus.RELEASING, release_no=number, page_url=None, changed_ms=context.instant_ms)
    return loan.put(going), direct(number, "release", {"hold_no": bid.id}, bid.amount_fen, loan.id)


def released(loan: Loan, bid: Bid, command: OrderEnded, context: Context) -> Decision[Loan]:
    """The money is the investor's again; a hold that is over already is over."""
    if bid.status is not BidStatus.RELEASING:
        return Decision.stay(loan)
    if command.result != "succeeded" and command.reason != ENDED_ALREADY:
        return suspend(loan, context, f"release of bid {bid.id}: {command.reason or command.result}")
    over = bid.but(status=BidStatus.RELEASED, changed_ms=context.instant_ms)
    return one_less(Decision(loan.put(over), reply=_changed(over)), bid, context)


def one_less(decision: Decision[Loan], bid: Bid, context: Context) -> Decision[Loan]:
    """A bid has ended; if it was among those that were ending, there is one less."""
    loan = decision.state
    assert loan is not None, "a loan stays"
    if not is_taken_up(loan, bid):
        return decision
    assert loan.ending > 0, "what was taken up was counted"
    return close_when_empty(decision._replace(state=loan.but(ending=loan.ending - 1)), context)


def close_when_empty(decision: Decision[Loan], context: Context) -> Decision[Loan]:
    """When nothing is left to give back the bank closes the project."""
    loan = decision.state
    assert loan is not None, "a loan stays"
    if loan.status is not Status.FAILING or loan.ending or loan.failing_after is not None or loan.close_no is not None:
        return decision
    number = derived_id(context.message_id, "close")
    order = direct(number, "close_project", {"project_no": loan.id}, 0, loan.id)
    return decision._replace(state=loan.but(close_no=number), sends=(*decision.sends, order), aliases=(*decision.aliases, number))


def project_closed(loan: Loan, command: OrderEnded, context: Context) -> Decision[Loan]:
    """The end of a listing that has failed; of a settled loan's project nothing more is to be said."""
    if loan.where not in (Status.FAILING, Status.SETTLED):
        return Decision.stay(loan)
    if command.result != "succeeded" and command.reason != CLOSED_ALREADY:
        return suspend(loan, context, f"close_project: {command.reason or command.result}")
    if loan.where is Status.FAILING:
        return become(loan, Status.FAILED, context, who="bank", reason=loan.reason)
    return Decision.stay(loan) if loan.status is Status.SETTLED else become(loan, Status.SETTLED, context, who="bank")


def _changed(bid: Bid) -> Message:
    return BidChanged(id=bid.id, loan=bid.loan, status=bid.status.value, reason=bid.reason)
