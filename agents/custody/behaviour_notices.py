"""What the bank tells of its own accord: a notice is evidence, the query that it causes decides (FLOWS 3.6, CASES D25, M22).

No answer for a minute: the notice decides, unverified, and the asking goes on. A notice that cannot be about the order, or that
contradicts what is known, is kept and listed as a break, and changes nothing: the bank is asked, and only its answer to that can
make the order a disputed one.
"""

from typing import Any

from agents.custody.behaviour_orders import FINAL, NOTICE_ALONE, ask, fits, standing
from agents.custody.messages import Notice, NoticeAlone
from agents.custody.model import Break, Evidence, Order, Result, Status, Stray
from agents.runtime.decision import ClearTimer, Context, Decision, SetTimer
from config.custody import Policy


def notice(known: Order | Stray | None, command: Notice, context: Context, policy: Policy) -> Decision[Any]:
    """Keep it; ask the bank whether it is so."""
    evidence = Evidence(command.webhook_id, command.id, command.status, command.body, context.instant_ms)
    if not isinstance(known, Order):
        return _of_nothing(known or Stray(command.id), evidence, context)
    kept = known.but(evidence=(*known.evidence, evidence))
    if known.disputed or command.status not in FINAL:  # of what is under way the bank tells nobody
        return Decision(kept)
    said = Result(command.status, command.amount_fen, command.booked_date, command.reason, command.details)
    if not fits(known, command.kind, said):
        return _doubt(kept, "misfit", f"{command.kind} {said.status} {said.amount_fen}", context)
    claimed = known.result or known.noticed
    if claimed is None:
        due = SetTimer(NOTICE_ALONE, context.instant_ms + policy.notice_alone_ms, NoticeAlone(id=known.id))
        return ask(kept.but(noticed=said), context)._replace(timers=(due,))
    if not claimed.agrees(said):
        return _doubt(kept, "notice", f"{said.status} {said.amount_fen}", context)
    return Decision(kept) if known.status.is_final else ask(kept, context)


def alone(order: Order, context: Context) -> Decision[Order]:
    """A minute without an answer: what the notice says is its end, until the bank can be asked."""
    if order.status.is_final or order.disputed or order.noticed is None:
        return Decision.stay(order)
    said = order.noticed
    after = order.but(status=Status(said.status), result=said, unverified=True, closing=False, changed_ms=context.instant_ms)
    return Decision(after, sends=standing(after))


def _doubt(order: Order, kind: str, noticed: str, context: Context) -> Decision[Any]:
    """Listed; the bank is asked, and no notice ends the order alone any more."""
    found = Break(order.id, kind, noticed, order.status.value, context.instant_ms)
    asked = ask(order.but(breaks=(*order.breaks, found)), context)
    return Decision(asked.state, attempts=asked.attempts, timers=(ClearTimer(NOTICE_ALONE),))


def _of_nothing(stray: Stray, evidence: Evidence, context: Context) -> Decision[Any]:
    found = Break(stray.id, "no_order", evidence.status, "", context.instant_ms)
    return Decision(stray.but(evidence=(*stray.evidence, evidence), breaks=(*stray.breaks, found)))
