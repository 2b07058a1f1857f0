"""Bids (投标): room is reserved, the bank is asked for the hold, and the hold's end decides."""

from agents.custody.messages import CloseOrder, OrderAwaiting, OrderEnded, PlaceOrder
from agents.runtime.decision import ClearTimer, Context, Decision, Message, Send, SetTimer
from agents.trading import behaviour_failing
from agents.trading.behaviour_listing import become, suspend
from agents.trading.messages import TOPIC, BidChanged, BidDeadline, PlaceBid
from agents.trading.model import Bid, BidStatus, Loan, Status
from config.products import BID_FEN_MIN, BID_PAGE_MS, BID_STEP_FEN


def place(loan: Loan, command: PlaceBid, context: Context) -> Decision[Loan]:
    """Reserve room and ask for the hold; a refused bid is kept with its reason."""
    if (known := loan.seen.get(command.id)) is not None:
        return Decision(loan, reply=changed(known))
    now = context.instant_ms
    reason = unacceptable(loan, command)
    status = BidStatus.PENDING if reason is None else BidStatus.REFUSED
    bid = Bid(
        command.id, loan.id, loan.places + 1, command.investor, command.custody_no, command.amount_fen, status, now, now, reason=reason
    )  # fmt: skip
    after = loan.but(places=bid.place).put(bid)
    if reason is not None:
        return Decision(after, reply=changed(bid))
    content = {"project_no": loan.id, "custody_no": bid.custody_no, "amount_fen": bid.amount_fen}
    hold = PlaceOrder(
        id=bid.id, kind="hold", content=content, page=True, amount_fen=bid.amount_fen, reply_topic=TOPIC, reply_key=loan.id
    )  # fmt: skip
    return Decision(
        after.but(reserved_fen=loan.reserved_fen + bid.amount_fen, changed_ms=now),
        sends=(Send(bid.id, hold),),
        timers=(SetTimer(timer_of(bid.id), now + BID_PAGE_MS, BidDeadline(id=bid.id)),),
        aliases=(bid.id,),
    )


def unacceptable(loan: Loan, command: PlaceBid) -> str | None:
    """Why this bid cannot be (MONEY 4), or None."""
    if not command.custody_no:
        return "no_custody_account"
    if command.investor == loan.borrower or command.person_lookup == loan.person_lookup:
        return "own_loan"
    if loan.status is not Status.RAISING:
        return "not_raising"
    if any(bid.investor == command.investor and bid.status is BidStatus.PENDING for bid in loan.seen.values()):
        return "bid_open"
    return amount_unacceptable(command.amount_fen, loan.room_fen)


def amount_unacceptable(amount_fen: int, room_fen: int) -> str | None:
    """A bid is at least ¥100 by steps of ¥1, and leaves nothing or at least ¥100; of less than that only the rest is taken."""
    if amount_fen > room_fen:
        return "no_room"
    if amount_fen == room_fen:
        return None
    if room_fen < BID_FEN_MIN:
        return "only_the_rest"
    if amount_fen < BID_FEN_MIN or amount_fen % BID_STEP_FEN:
        return "bid_too_small" if amount_fen < BID_FEN_MIN else "bid_step"
    return "rest_too_small" if room_fen - amount_fen < BID_FEN_MIN else None


def of_hold(loan: Loan, bid: Bid, command: OrderAwaiting | OrderEnded, context: Context) -> Decision[Loan]:
    """The bank's page for the investor, or what became of the hold."""
    if not bid.status.is_open:
        return Decision.stay(loan)
    if isinstance(command, OrderAwaiting):
        shown = bid.but(page_url=command.page_url, changed_ms=context.instant_ms)
        return Decision(loan.put(shown), reply=changed(shown))
    if command.result == "succeeded" and command.amount_fen != bid.amount_fen:
        return in_doubt(loan, bid, context, f"hold of bid {bid.id}: {command.amount_fen} fen instead of {bid.amount_fen}")
    freed = loan.but(reserved_fen=loan.reserved_fen - bid.amount_fen, changed_ms=context.instant_ms)
    ended = Decision(freed, timers=(ClearTimer(timer_of(bid.id)),))
    if command.result != "succeeded":
        refused = bid.but(status=BidStatus.REFUSED, reason=command.reason or command.result, page_url=None, changed_ms=context.instant_ms)
        return behaviour_failing.one_less(ended._replace(state=freed.put(refused), reply=changed(refused)), bid, context)
    accepted = bid.but(status=BidStatus.ACCEPTED, page_url=None, changed_ms=context.instant_ms)
    if behaviour_failing.is_taken_up(loan, bid) or loan.where not in (Status.RAISING, Status.FAILING):
        after, order = behaviour_failing.given_back(freed, accepted, context)
        return ended._replace(state=after, sends=(order,), aliases=(order.key,), reply=changed(after.seen[bid.id]))
    return accept(ended, accepted, context)


def accept(ended: Decision[Loan], bid: Bid, context: Context) -> Decision[Loan]:
    """The money is held; with the last of it the loan is full. One that fails by now gives it back with the others."""
    assert ended.state is not None, "a loan stays"
    loan = ended.state
    after = loan.put(bid).but(accepted_fen=loan.accepted_fen + bid.amount_fen, accepted=loan.accepted + 1)
    if after.where is not Status.RAISING or after.accepted_fen < after.amount_fen:
        return ended._replace(state=after, reply=changed(bid))
    assert after.accepted_fen == after.amount_fen and after.reserved_fen == 0, "no bid gets more room than there is"
    if after.status is Status.SUSPENDED:
        return ended._replace(state=after.but(stood=Status.FULL.value), reply=changed(bid))
    return become(after, Status.FULL, context, who="bank")._replace(timers=ended.timers, reply=changed(bid))


def in_doubt(loan: Loan, bid: Bid, context: Context, reason: str) -> Decision[Loan]:
    """Nobody knows what became of the hold: its room stays reserved, and the loan waits for an operator."""
    doubted = bid.but(status=BidStatus.SUSPENDED, reason=reason, changed_ms=context.instant_ms)
    return suspend(loan.put(doubted), context, reason)._replace(timers=(ClearTimer(timer_of(bid.id)),), reply=changed(doubted))


def deadline(loan: Loan, command: BidDeadline) -> Decision[Loan]:
    """It has taken too long: the bank closes the hold, and its answer decides."""
    bid = loan.seen.get(command.id)
    if bid is None or bid.status is not BidStatus.PENDING:
        return Decision.stay(loan)
    return Decision(loan, sends=(Send(bid.id, CloseOrder(id=bid.id)),))


def changed(bid: Bid) -> Message:
    """The answer to the investor."""
    return BidChanged(id=bid.id, loan=bid.loan, status=bid.status.value, page_url=bid.page_url, reason=bid.reason)


def refusal(command: PlaceBid, reason: str) -> Message:
    """The answer about a bid that is not kept, since there is no loan."""
    return BidChanged(id=command.id, loan=command.loan, status=BidStatus.REFUSED.value, reason=reason)


def timer_of(bid: str) -> str:
    """The name of a bid's deadline among its loan's timers."""
    return f"bid:{bid}"
