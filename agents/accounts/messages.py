"""What may be said to the accounts service, and what it says: a branch of a registration, by the coordinator `users` (FLOWS 2)."""

from agents.runtime.decision import Claim, Message
from agents.runtime.messages import GATEWAY_REPLIES

TOPIC = "accounts.commands"
ANSWERS = "users.commands"


class Try(Message):
    """Reserve a login account under these names; it cannot be used yet."""

    type = "accounts.Try"
    topic = TOPIC
    sealed = frozenset({"password_hash", "mobile"})
    id: str
    login_name: str
    mobile: str  # sealed
    mobile_lookup: str  # keyed hash, for the claim
    password_hash: str  # argon2id, sealed
    role: str = ""  # borrower or investor

    def claims(self) -> tuple[Claim, ...]:
        """Mobile and login name, each one's only once."""
        return (Claim("mobile", self.mobile_lookup), Claim("login_name", self.login_name))


class Confirm(Message):
    """The registration is decided: open the account."""

    type = "accounts.Confirm"
    topic = TOPIC
    id: str


class Cancel(Message):
    """The registration is given up: forget the account and give its names back."""

    type = "accounts.Cancel"
    topic = TOPIC
    id: str


class CreateStaff(Message):
    """Somebody who works here gets a log-in: auditor, operator or administrator. It has no member and no mobile number."""

    type = "accounts.CreateStaff"
    topic = TOPIC
    sealed = frozenset({"password_hash"})
    id: str
    login_name: str
    password_hash: str  # argon2id, sealed
    role: str

    def claims(self) -> tuple[Claim, ...]:
        """The login name, once."""
        return (Claim("login_name", self.login_name),)


class StaffCreated(Message):
    """The answer to whoever made a log-in: CREATED, or why not (`login_name_taken`)."""

    type = "accounts.StaffCreated"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    status: str
    reason: str | None = None


class Tried(Message):
    """The account is reserved."""

    type = "accounts.Tried"
    topic = ANSWERS
    id: str


class Refused(Message):
    """The account cannot be reserved, with a stable code: `login_name_taken`, `mobile_taken`, `cancelled`, `too_old`."""

    type = "accounts.Refused"
    topic = ANSWERS
    id: str
    code: str


class Confirmed(Message):
    """The account is open."""

    type = "accounts.Confirmed"
    topic = ANSWERS
    id: str


class Cancelled(Message):
    """There is no account of this registration, and there will be none."""

    type = "accounts.Cancelled"
    topic = ANSWERS
    id: str


Command = Try | Confirm | Cancel | CreateStaff
COMMANDS: tuple[type[Message], ...] = (Try, Confirm, Cancel, CreateStaff)
ANSWERS_OF_BRANCH: tuple[type[Message], ...] = (Tried, Refused, Confirmed, Cancelled)
SAYS: tuple[type[Message], ...] = (*ANSWERS_OF_BRANCH, StaffCreated)
