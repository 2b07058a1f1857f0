"""What may be said to the accounts service, and what it says: a branch of a registration, by the coordinator `users` (FLOWS 2)."""

from agents.runtime.decision import Claim, Message

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


Command = Try | Confirm | Cancel
COMMANDS: tuple[type[Message], ...] = (Try, Confirm, Cancel)
SAYS: tuple[type[Message], ...] = (Tried, Refused, Confirmed, Cancelled)
