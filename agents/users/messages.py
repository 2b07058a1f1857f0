"""What may be said to the user centre, and what it says: it coordinates registrations (FLOWS 2).

The answers of the branch `accounts` (Tried, Refused, Confirmed, Cancelled) come to the same mailbox; they are declared where
they are said.
"""

from agents.accounts import messages as accounts
from agents.custody import messages as custody
from agents.runtime.decision import Claim, Message, Need
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


class SubmitOpening(Message):
    """A member wants a custody account at the bank (开户). One is open at a time; who asks again gets the open one."""

    type = "users.SubmitOpening"
    topic = TOPIC
    sealed = frozenset({"name", "id_number", "card_number"})
    id: str  # of the opening, and request number at the bank
    member: str
    name: str  # sealed
    id_number: str  # sealed
    card_number: str  # sealed
    person_lookup: str  # keyed hash of the identity number

    def claims(self) -> tuple[Claim, ...]:
        """A person has one membership with a custody account."""
        return (Claim("person", self.person_lookup),)

    def needs(self) -> tuple[Need, ...]:
        """This opening, if it is there, and one that is open."""
        return (Need("opening", self.id), Need("open_opening"))

    def thing(self, actor: str) -> str:
        """An opening of the member."""
        return self.id


class RequestRecharge(Message):
    """A member wants money from his card on his custody account (充值), on the bank's page."""

    type = "users.RequestRecharge"
    topic = TOPIC
    id: str  # of the transfer request, and request number at the bank
    member: str
    amount_fen: int

    def needs(self) -> tuple[Need, ...]:
        """The transfer request, if it is there."""
        return (Need("transfer", self.id),)

    def thing(self, actor: str) -> str:
        """A transfer request of the member."""
        return self.id


class AuthorizeRepay(Message):
    """A borrower lets the platform collect what is due, on the bank's page: at most `cap_fen` at a time, until `expires_on`."""

    type = "users.AuthorizeRepay"
    topic = TOPIC
    id: str  # of the authorization, and request number at the bank
    member: str
    cap_fen: int
    expires_on: str

    def needs(self) -> tuple[Need, ...]:
        """The authorization, if it is there."""
        return (Need("authorization", self.id),)

    def thing(self, actor: str) -> str:
        """An authorization of the member."""
        return self.id


class OpeningChanged(Message):
    """The answer to a member: the bank's page (AWAITING), or how the opening has ended.

    `opening` names the one that was open already, with its page: a second one is not begun beside it.
    """

    type = "users.OpeningChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    member: str
    status: str
    page_url: str | None = None
    reason: str | None = None
    opening: str | None = None

    def thing(self, actor: str) -> str:
        """An opening of the member."""
        return self.id


class TransferChanged(Message):
    """The answer to a member: the bank's page (AWAITING), or how the transfer request has ended (DONE, REFUSED)."""

    type = "users.TransferChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    member: str
    status: str
    page_url: str | None = None
    reason: str | None = None

    def thing(self, actor: str) -> str:
        """A transfer request of the member."""
        return self.id


class AuthorizationChanged(Message):
    """The answer to a member: the bank's page (AWAITING), or how the authorization has ended (ON, REFUSED)."""

    type = "users.AuthorizationChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    member: str
    status: str
    page_url: str | None = None
    reason: str | None = None

    def thing(self, actor: str) -> str:
        """An authorization of the member."""
        return self.id


class MemberOpened(Message):
    """A member has a custody account, for anyone."""

    type = "users.MemberOpened"
    topic = EVENTS
    id: str
    custody_no: str


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
    | SubmitOpening
    | RequestRecharge
    | AuthorizeRepay
    | custody.OrderAwaiting
    | custody.OrderEnded
    | custody.OrderDisputed
)
COMMANDS: tuple[type[Message], ...] = (
    Register,
    TryDeadline,
    SecondPhaseDue,
    CancelRegistration,
    RetrySecondPhase,
    SubmitOpening,
    RequestRecharge,
    AuthorizeRepay,
)
SAYS: tuple[type[Message], ...] = (
    RegistrationEnded,
    MemberRegistered,
    RegistrationCancelled,
    OpeningChanged,
    TransferChanged,
    AuthorizationChanged,
    MemberOpened,
)
