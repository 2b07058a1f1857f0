"""Accounts, the participant of a registration: a login account is reserved, then opened or forgotten (SEED 2.2, FLOWS 2).

(none) ──try──► UNAVAILABLE ──confirm──► AVAILABLE
                    └────────cancel────► (none)

The barrier stands before it: no phase comes twice, no confirm without its try, no try after its cancel.
"""

from agents.accounts.messages import Cancel, Cancelled, Command, Confirm, Confirmed, Refused, Tried, Try
from agents.accounts.model import Account, Status
from agents.runtime.decision import Context, Decision


def behave(account: Account | None, command: Command, context: Context) -> Decision[Account]:
    """What becomes of the account. Refusals: `login_name_taken`, `mobile_taken`."""
    match command:
        case Try():
            return reserve(command, context)
        case Confirm():
            return open_(account, context)
        case Cancel():
            return Decision.forget(answer=Cancelled(id=context.actor))


def reserve(command: Try, context: Context) -> Decision[Account]:
    if taken := context.claims_lost:  # their owner stays untouched, whoever asks
        return Decision.refuse(Refused(id=context.actor, code=f"{taken[0]}_taken"))
    account = Account(
        context.actor,
        command.login_name,
        command.mobile,
        command.mobile_lookup,
        command.password_hash,
        Status.UNAVAILABLE,
        context.instant_ms,
    )
    return Decision(account, answer=Tried(id=context.actor))


def open_(account: Account | None, context: Context) -> Decision[Account]:
    assert account is not None, "the barrier lets no confirm through without its try"
    return Decision(account.with_status(Status.AVAILABLE), answer=Confirmed(id=context.actor))
