"""Accounts, the participant of a registration: a login account is reserved, then opened or forgotten (SEED 2.2, FLOWS 2).

(none) ──try──► UNAVAILABLE ──confirm──► AVAILABLE
                    └────────cancel────► (none)
(none) ──create staff──► AVAILABLE

The barrier stands before it: no phase comes twice, no confirm without its try, no try after its cancel.
"""

from agents.accounts.messages import Cancel, Cancelled, Command, Confirm, Confirmed, CreateStaff, Refused, StaffCreated, Tried, Try
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
        case CreateStaff():
            return create_staff(account, command, context)


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
        command.role,
    )
    return Decision(account, answer=Tried(id=context.actor))


def open_(account: Account | None, context: Context) -> Decision[Account]:
    assert account is not None, "the barrier lets no confirm through without its try"
    return Decision(account.with_status(Status.AVAILABLE), answer=Confirmed(id=context.actor))


def create_staff(account: Account | None, command: CreateStaff, context: Context) -> Decision[Account]:
    """A log-in without a member; who asks again is told that it is there."""
    if account is not None:
        return Decision(account, reply=StaffCreated(id=context.actor, status="CREATED"))
    if context.claims_lost:
        refused = StaffCreated(id=context.actor, status="REFUSED", reason="login_name_taken")
        return Decision(None, reply=refused, refused=True)
    made = Account(context.actor, command.login_name, "", "", command.password_hash, Status.AVAILABLE, context.instant_ms, command.role)
    return Decision(made, reply=StaffCreated(id=context.actor, status="CREATED"))
