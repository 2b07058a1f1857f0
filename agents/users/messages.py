"""What may be said to the user centre, and what it says: it coordinates registrations (FLOWS 2).

The answers of the branch `accounts` (Tried, Refused, Confirmed, Cancelled) come to the same mailbox; they are declared where
they are said.
"""

from agents.accounts import messages as accounts
from agents.runtime.decision import Message
from agents.runtime.messages import GATEWAY_REPLIES

TOPIC = "users.commands"
EVENTS = "users.events"


class Register(Message):
    """A person wants an account and a membership; both or neither."""

    type = "users.Register"
    topic = TOPIC
    sealed = frozenset({"password_hash", "mobile"})
    id: str
    login_name: str
    mobile: str  # sealed
    mobile_lookup: str  # keyed hash
    password_hash: str  # argon2id, sealed
    role: str  # borrower or investor


class TryDeadline(Message):
    """The time that a registration may stay undecided is over."""

    type = "users.TryDeadline"
    topic = TOPIC
    id: str


class SecondPhaseDue(Message):
    """The branch has not answered the decision yet: say it again. `round` counts from 1."""

    type = "users.SecondPhaseDue"
    topic = TOPIC
    id: str
    round: int


class CancelRegistration(Message):
    """An operator gives up a registration that is still TRYING."""

    type = "users.CancelRegistration"
    topic = TOPIC
    id: str
    reason: str


class RetrySecondPhase(Message):
    """An operator asks for the second phase of a STUCK registration again, with a fresh budget."""

    type = "users.RetrySecondPhase"
    topic = TOPIC
    id: str


class RegistrationEnded(Message):
    """The final answer to whoever waits: CONFIRMED, or CANCELLED with its reason."""

    type = "users.RegistrationEnded"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    status: str
    reason: str | None = None


class MemberRegistered(Message):
    """A new member, for anyone."""

    type = "users.MemberRegistered"
    topic = EVENTS
    id: str
    role: str


class RegistrationCancelled(Message):
    """A registration has ended without a member, for anyone; `reason` is its refusal's code, `deadline`, or `operator: …`."""

    type = "users.RegistrationCancelled"
    topic = EVENTS
    id: str
    reason: str


Command = (
    Register
    | TryDeadline
    | SecondPhaseDue
    | CancelRegistration
    | RetrySecondPhase
    | accounts.Tried
    | accounts.Refused
    | accounts.Confirmed
    | accounts.Cancelled
)
COMMANDS: tuple[type[Message], ...] = (Register, TryDeadline, SecondPhaseDue, CancelRegistration, RetrySecondPhase)
SAYS: tuple[type[Message], ...] = (RegistrationEnded, MemberRegistered, RegistrationCancelled)
