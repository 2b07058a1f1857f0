"""Registrations in every state, as values, for the tests of the user centre."""

from typing import Any

from agents.accounts.messages import Cancelled, Confirmed, Refused, Tried
from agents.runtime.decision import Context
from agents.users.messages import CancelRegistration, Command, Register, RetrySecondPhase, SecondPhaseDue, TryDeadline
from agents.users.model import Member, MemberStatus, Registration, Status
from config.registration import Policy
from config.retry import Schedule

KEY = "7d444840-9dc0-51d1-b245-5ffdce74fad2"
POLICY = Policy(try_deadline_ms=10_000, second_phase=Schedule(first_ms=500, factor=2, cap_ms=60_000, budget=3))
ASKED = Register(id=KEY, login_name="lin_xiao", mobile="s1.k1.m", mobile_lookup="ab12", password_hash="s1.k1.h", role="borrower")
MEMBER = Member(KEY, "borrower", "s1.k1.m", MemberStatus.UNAVAILABLE, 1_000)
TRYING = Registration(KEY, "lin_xiao", Status.TRYING, None, 0, False, 1_000, 1_000, MEMBER)
CONFIRMING = TRYING.but(status=Status.CONFIRMING, round=1, member=Member(KEY, "borrower", "s1.k1.m", MemberStatus.AVAILABLE, 1_000))
CANCELLING = TRYING.but(status=Status.CANCELLING, reason="deadline", round=1)
CONFIRMED = CONFIRMING.but(status=Status.CONFIRMED)
CANCELLED = CANCELLING.but(status=Status.CANCELLED, member=None)
STATES = {r.status: r for r in (TRYING, CONFIRMING, CANCELLING, CONFIRMED, CANCELLED)}

COMMANDS: tuple[Command, ...] = (
    Tried(id=KEY),
    Refused(id=KEY, code="mobile_taken"),
    Confirmed(id=KEY),
    Cancelled(id=KEY),
    TryDeadline(id=KEY),
    SecondPhaseDue(id=KEY, round=1),
    CancelRegistration(id=KEY, reason="fraud"),
    RetrySecondPhase(id=KEY),
)


def context(instant_ms: int = 2_000, **changes: Any) -> Context:
    """A context at an instant."""
    return Context(KEY, "00000000-0000-0000-0000-000000000001", instant_ms, **changes)
