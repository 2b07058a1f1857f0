"""What the runtime itself says: answers to a repeated or suspended command of a person, and the announcement of a dead letter."""

from agents.runtime.decision import Message

GATEWAY_REPLIES = "gateway.replies"
DEAD_LETTERS = "dead.letters"


class Known(Message):
    """This command was handled before, with this content: show the thing as it is now."""

    type = "runtime.Known"
    topic = GATEWAY_REPLIES
    id: str


class Mismatch(Message):
    """A command with this id was handled before, with other content."""

    type = "runtime.Mismatch"
    topic = GATEWAY_REPLIES
    id: str


class Suspended(Message):
    """The thing waits for an operator; the command is queued behind, in order."""

    type = "runtime.Suspended"
    topic = GATEWAY_REPLIES
    id: str


class DeadLettered(Message):
    """A record could not be read as a message of this service and was put aside, with the bytes as they came."""

    type = "runtime.DeadLettered"
    topic = DEAD_LETTERS
    id: str
    service: str
    source_topic: str
    partition: int
    offset: int
    reason: str
