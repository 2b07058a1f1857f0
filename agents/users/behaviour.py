"""Users, the coordinator of a registration: tried at accounts, then confirmed or cancelled, both sides or neither (FLOWS 2).

(none) ──register──► TRYING ──tried──► CONFIRMING ──confirmed──► CONFIRMED
                       │                  (the decision)
                       └──refused, deadline, operator──► CANCELLING ──cancelled──► CANCELLED

The second phase is repeated by a timer until accounts answers; its budget spent, the registration is stuck and an operator
may retry, nothing else. A decision never flips: `Tried` after CANCELLING changes nothing. What a member wants of the bank is in
`behaviour_bank`.
"""

from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, Refused, Tried, Try
from agents.runtime.decision import ClearTimer, Context, Decision, Send, SetTimer
from agents.users import behaviour_bank
from agents.users.messages import (
    CancelRegistration,
    Command,
    MemberRegistered,
    Register,
    RegistrationCancelled,
    RegistrationEnded,
    RetrySecondPhase,
    SecondPhaseDue,
    TryDeadline,
)
from agents.users.model import Member, MemberStatus, Registration, Status
from config.registration import Policy

TRY_DEADLINE = "try_deadline"
SECOND_PHASE = "second_phase"


def behave(registration: Registration | None, command: Command, context: Context, policy: Policy) -> Decision[Registration]:
    """What becomes of the registration and what is said; a command that does not fit the state changes nothing."""
    if isinstance(command, Register):
        return register(registration, command, context, policy)
    if isinstance(command, behaviour_bank.COMMANDS):
        return behaviour_bank.behave(registration, command, context)
    if registration is None:
        return Decision.stay(None)
    match command, registration.status:
        case Tried(), Status.TRYING:
            return confirm(registration, context, policy)
        case Refused(), Status.TRYING:
            return cancel(registration, command.code, context, policy)
        case TryDeadline(), Status.TRYING:
            return cancel(registration, "deadline", context, policy)
        case CancelRegistration(), Status.TRYING:
            return cancel(registration, f"operator: {command.reason}", context, policy)
        case Confirmed(), Status.CONFIRMING:
            return confirmed(registration, context)
        case Cancelled(), Status.CANCELLING:
            return cancelled(registration, context)
        case SecondPhaseDue(), Status.CONFIRMING | Status.CANCELLING:
            return repeat(registration, command.round, context, policy)
        case RetrySecondPhase(), Status.CONFIRMING | Status.CANCELLING:
            return second_phase(registration.but(round=0, stuck=False), context, policy)
        case _:
            return Decision.stay(registration)


def register(known: Registration | None, command: Register, context: Context, policy: Policy) -> Decision[Registration]:
    if known is not None:  # older than the inbox remembers, or another message for the same id
        return Decision(known, reply=ended(known) if known.status.is_final else None)
    now = context.instant_ms
    member = Member(context.actor, command.role, command.mobile, MemberStatus.UNAVAILABLE, now)
    registration = Registration(context.actor, command.login_name, Status.TRYING, None, 0, False, now, now, member)
    asked = Try(
        id=context.actor,
        login_name=command.login_name,
        mobile=command.mobile,
        mobile_lookup=command.mobile_lookup,
        password_hash=command.password_hash,
        role=command.role,
    )
    deadline = SetTimer(TRY_DEADLINE, now + policy.try_deadline_ms, TryDeadline(id=context.actor))
    return Decision(registration, sends=(Send(context.actor, asked),), timers=(deadline,))


def confirm(registration: Registration, context: Context, policy: Policy) -> Decision[Registration]:
    """The decision, durable with the own branch before the first Confirm leaves."""
    assert registration.member is not None, "a registration has its member until it is cancelled"
    member = _with_status(registration.member, MemberStatus.AVAILABLE)
    return second_phase(registration.but(status=Status.CONFIRMING, member=member), context, policy)


def cancel(registration: Registration, reason: str, context: Context, policy: Policy) -> Decision[Registration]:
    return second_phase(registration.but(status=Status.CANCELLING, reason=reason), context, policy)


def second_phase(registration: Registration, context: Context, policy: Policy) -> Decision[Registration]:
    """Say what was decided, and see to it that it is said again until it is answered."""
    said = Confirm(id=registration.id) if registration.status is Status.CONFIRMING else Cancel(id=registration.id)
    round_ = registration.round + 1
    due = context.instant_ms + policy.second_phase.delay_ms(round_ - 1, registration.id)
    return Decision(
        registration.but(round=round_, changed_ms=context.instant_ms),
        sends=(Send(registration.id, said),),
        timers=(ClearTimer(TRY_DEADLINE), SetTimer(SECOND_PHASE, due, SecondPhaseDue(id=registration.id, round=round_))),
    )


def repeat(registration: Registration, round_: int, context: Context, policy: Policy) -> Decision[Registration]:
    if round_ != registration.round or registration.stuck:  # a firing that a later one has overtaken
        return Decision.stay(registration)
    if policy.second_phase.is_spent(round_):
        return Decision(registration.but(stuck=True, changed_ms=context.instant_ms), timers=(ClearTimer(SECOND_PHASE),))
    return second_phase(registration, context, policy)


def confirmed(registration: Registration, context: Context) -> Decision[Registration]:
    assert registration.member is not None, "a confirmed registration has its member"
    after = registration.but(status=Status.CONFIRMED, stuck=False, changed_ms=context.instant_ms)
    event = MemberRegistered(id=registration.id, role=registration.member.role)
    return Decision(after, sends=(Send(registration.id, event),), timers=(ClearTimer(SECOND_PHASE),), reply=ended(after))


def cancelled(registration: Registration, context: Context) -> Decision[Registration]:
    assert registration.reason is not None, "a registration is cancelled for a reason"
    after = registration.but(status=Status.CANCELLED, stuck=False, member=None, changed_ms=context.instant_ms)
    event = RegistrationCancelled(id=registration.id, reason=registration.reason)
    return Decision(after, sends=(Send(registration.id, event),), timers=(ClearTimer(SECOND_PHASE),), reply=ended(after))


def ended(registration: Registration) -> RegistrationEnded:
    """The final answer to whoever waits."""
    return RegistrationEnded(id=registration.id, status=registration.status.value, reason=registration.reason)


def _with_status(member: Member, status: MemberStatus) -> Member:
    return member.but(status=status)
