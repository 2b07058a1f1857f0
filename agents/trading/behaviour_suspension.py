"""A SUSPENDED loan: what the bank says in two ways stops it, and what an operator may do (FLOWS 1.7, 3.6).

It stands still for people. The bank's word about what is under way is still taken, as of the state in which the loan stood.
"""

from agents.custody.messages import OrderDisputed
from agents.runtime.decision import Context, Decision
from agents.trading.behaviour_bids import in_doubt
from agents.trading.behaviour_disbursing import disburse, settled
from agents.trading.behaviour_failing import fail, given_back
from agents.trading.behaviour_listing import become, suspend
from agents.trading.model import BidStatus, Loan, Status


def disputed(loan: Loan, command: OrderDisputed, context: Context) -> Decision[Loan]:
    """Notice and answer of the bank differ; of a loan that has ended, only custody keeps the break."""
    if loan.status.is_final:
        return Decision.stay(loan)
    reason = f"disputed: order {command.id}, noticed {command.noticed}, answered {command.queried}"
    bid = loan.seen.get(command.id)
    if bid is not None and bid.status is BidStatus.PENDING:
        return in_doubt(loan, bid, context, reason)
    return suspend(loan, context, reason)


def resume(loan: Loan, context: Context) -> Decision[Loan]:
    """It goes on where it stood."""
    match loan.where:
        case Status.RAISING:
            return raise_again(loan, context)
        case Status.DISBURSING:
            return disburse(loan, context)
        case Status.FAILING:
            return fail(loan, context, loan.reason or "suspended")
        case Status.SETTLED:
            return settled(loan, context)
        case stood:
            return become(loan.but(reason=None), stood, context)


def raise_again(loan: Loan, context: Context) -> Decision[Loan]:
    """Holds that nobody knows the end of are given back, with their room, and the listing takes bids again."""
    after, sends = loan.but(reason=None), []
    for bid in sorted(loan.seen.values(), key=lambda bid: bid.place):
        if bid.status not in (BidStatus.SUSPENDED, BidStatus.RELEASING):
            continue
        if bid.status is BidStatus.SUSPENDED:
            after = after.but(reserved_fen=after.reserved_fen - bid.amount_fen)
        after, send = given_back(after, bid, context)
        sends.append(send)
    decision = become(after, Status.RAISING, context)
    return decision._replace(sends=(*decision.sends, *sends))
