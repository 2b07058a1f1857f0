"""A listing that fails (流标) gives everything back: holds released, open bids closed, step by step, then the project is closed.

`ending` counts the bids whose end is awaited: those that a step has taken up, and late holds that are released at once.
"""

from agents.custody.messages import CloseOrder, OrderEnded
from agents.runtime.decision import ClearTimer, Context, Decision, Message, Send, derived_id
from agents.trading.behaviour_listing import become, direct, stand, suspend
from agents.trading.messages import BIDS_STEP, BidChanged, FailStep
from agents.trading.model import Bid, BidStatus, Loan, Status

ENDED_ALREADY = "not_held"  # the bank's word for a hold that is over: what was wanted


def fail(loan: Loan, context: Context, reason: str) -> Decision[Loan]:
    """From now on it takes nothing more; the first step is a message to itself."""
    if loan.status in (Status.FAILING, Status.FAILED):
        return stand(loan)
    decision = become(loan.but(reason=reason, failing_after=0), Status.FAILING, context, reason=reason)
    return decision._replace(sends=(*decision.sends, Send(loan.id, FailStep(id=loan.id, after="0"))))


def step(loan: Loan, command: FailStep, context: Context) -> Decision[Loan]:
    """The next bids: what is held is released, what may come to be held is closed; each of them ends by the bank's answer."""
    if loan.status is not Status.FAILING or loan.failing_after != int(command.after):
        return Decision.stay(loan)
    bids = loan.next_bids(int(command.after), BIDS_STEP, BidStatus.ACCEPTED, BidStatus.PENDING)
    after, sends = loan.but(ending=loan.ending + len(bids), changed_ms=context.instant_ms), []
    for bid in bids:
        if bid.status is BidStatus.PENDING:
            sends.append(Send(bid.id, CloseOrder(id=bid.id)))
        else:
            after, order = _released_from(after, bid, context)
            after = after.but(accepted_fen=after.accepted_fen - bid.amount_fen, accepted=after.accepted - 1)
            sends.append(order)
    if len(bids) == BIDS_STEP:
        last = bids[-1].place
        return Decision(after.but(failing_after=last), sends=(*sends, Send(loan.id, FailStep(id=loan.id, after=str(last)))))
    return close_when_empty(Decision(after.but(failing_after=None), sends=tuple(sends)), context)


def is_taken_up(loan: Loan, bid: Bid) -> bool:
    """Whether a step has counted this open bid among those that are ending."""
    return loan.status is Status.FAILING and (loan.failing_after is None or bid.place <= loan.failing_after)


def give_back(loan: Loan, bid: Bid, context: Context) -> Decision[Loan]:
    """A hold that has succeeded for a loan that raises no more."""
    more = 0 if is_taken_up(loan, bid) else 1
    after, order = _released_from(loan.but(ending=loan.ending + more), bid, context)
    return Decision(after, sends=(order,), timers=(ClearTimer(f"bid:{bid.id}"),), reply=_changed(after.seen[bid.id]))


def released(loan: Loan, bid: Bid, command: OrderEnded, context: Context) -> Decision[Loan]:
    """The money is the investor's again; a hold that is over already is over."""
    if bid.status is not BidStatus.RELEASING:
        return Decision.stay(loan)
    if command.result != "succeeded" and command.reason != ENDED_ALREADY:
        return suspend(loan, context, f"release of bid {bid.id}: {command.reason or command.result}")
    over = bid.but(status=BidStatus.RELEASED, changed_ms=context.instant_ms)
    return one_less(Decision(loan.put(over), reply=_changed(over)), context)


def one_less(decision: Decision[Loan], context: Context) -> Decision[Loan]:
    """One of those that were ending has ended."""
    loan = decision.state
    assert loan is not None and loan.ending > 0, "only what was counted ends"
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
    if command.result != "succeeded":
        return suspend(loan, context, f"close_project: {command.reason or command.result}")
    if loan.status is not Status.FAILING:
        return Decision.stay(loan)
    return become(loan, Status.FAILED, context, who="bank", reason=loan.reason)


def _released_from(loan: Loan, bid: Bid, context: Context) -> tuple[Loan, Send]:
    number = derived_id(context.message_id, f"release:{bid.id}")
    going = bid.but(status=BidStatus.RELEASING, release_no=number, page_url=None, changed_ms=context.instant_ms)
    return loan.put(going), direct(number, "release", {"hold_no": bid.id}, bid.amount_fen, loan.id)


def _changed(bid: Bid) -> Message:
    return BidChanged(id=bid.id, loan=bid.loan, status=bid.status.value, reason=bid.reason)
