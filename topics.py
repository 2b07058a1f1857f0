"""The contract: every topic as a row, and every message re-exported from where it is declared (DESIGN 4).

A message names its topic and its type; a topic names who owns it, what keys it, how long it is kept, who produces and
who consumes. `lendbus topics ls` prints this table.
"""

from typing import NamedTuple

from agents.accounts import messages as accounts
from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, Refused, Tried, Try
from agents.runtime.decision import Message
from agents.runtime.messages import DEAD_LETTERS, GATEWAY_REPLIES, DeadLettered, Known, Mismatch, Suspended
from agents.users import messages as users
from agents.users.messages import (
    CancelRegistration,
    MemberRegistered,
    Register,
    RegistrationCancelled,
    RegistrationEnded,
    RetrySecondPhase,
    SecondPhaseDue,
    TryDeadline,
)

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


class Topic(NamedTuple):
    """One topic. `partitions` on Kafka; the embedded bus has one a topic. Both are fixed for life."""

    name: str
    owner: str
    key: str
    partitions: int
    retention_ms: int
    producers: tuple[str, ...]
    consumers: tuple[str, ...]
    english: str


TOPICS: tuple[Topic, ...] = (
    Topic(
        users.TOPIC,
        "users",
        "registration id",
        8,
        7 * DAY_MS,
        ("gateway", "accounts", "users"),
        ("users",),
        "Commands to registrations and members, and the branches' answers to their coordinator.",
    ),
    Topic(
        accounts.TOPIC,
        "accounts",
        "account id",
        8,
        7 * DAY_MS,
        ("users",),
        ("accounts",),
        "Try, confirm and cancel of a login account.",
    ),
    Topic(users.EVENTS, "users", "member id", 8, 7 * DAY_MS, ("users",), (), "Facts about members and registrations, for anyone."),
    Topic(
        GATEWAY_REPLIES,
        "gateway",
        "gateway process",
        8,
        HOUR_MS,
        ("users", "accounts"),
        ("gateway",),
        "Answers for a waiting HTTP request; read from the end, without a group.",
    ),
    Topic(
        DEAD_LETTERS,
        "runtime",
        "dead letter id",
        8,
        7 * DAY_MS,
        ("users", "accounts"),
        (),
        "Announces records that could not be read; the bytes are rows in the service's store.",
    ),
)

MESSAGES: tuple[type[Message], ...] = (
    *users.COMMANDS,
    *users.SAYS,
    *accounts.COMMANDS,
    *accounts.SAYS,
    Known,
    Mismatch,
    Suspended,
    DeadLettered,
)
BY_TYPE: dict[str, type[Message]] = {message.type: message for message in MESSAGES}
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in TOPICS}


def messages_of(topic: str) -> tuple[type[Message], ...]:
    """What may stand on a topic."""
    return tuple(message for message in MESSAGES if message.topic == topic)


__all__ = [
    "BY_NAME",
    "BY_TYPE",
    "MESSAGES",
    "TOPICS",
    "Cancel",
    "CancelRegistration",
    "Cancelled",
    "Confirm",
    "Confirmed",
    "DeadLettered",
    "Known",
    "MemberRegistered",
    "Message",
    "Mismatch",
    "Refused",
    "Register",
    "RegistrationCancelled",
    "RegistrationEnded",
    "RetrySecondPhase",
    "SecondPhaseDue",
    "Suspended",
    "Topic",
    "Tried",
    "Try",
    "TryDeadline",
    "messages_of",
]
