"""The contract: every topic as a row, and every message re-exported from where it is declared (DESIGN 4).

A message names its topic and its type; a topic names who owns it, what keys it, how long it is kept, who produces and
who consumes. `lendbus topics ls` prints this table.
"""

from typing import NamedTuple

from agents.accounts import messages as accounts
from agents.accounts.messages import Cancel, Cancelled, Confirm, Confirmed, CreateStaff, Refused, StaffCreated, Tried, Try
from agents.custody import messages as custody
from agents.custody.messages import (
    AskDate,
    Closed,
    CloseOrder,
    DateAnswered,
    DateNotice,
    DateRolled,
    Notice,
    NoticeAlone,
    OrderAwaiting,
    OrderDisputed,
    OrderEnded,
    PlaceOrder,
    Queried,
    Registered,
    ResultDue,
)
from agents.repayments import messages as repayments
from agents.repayments.messages import (
    AskPlan,
    CollectionStep,
    Due,
    GeneratePlan,
    InstalmentPaid,
    MakeReceivables,
    Pay,
    PaymentChanged,
    PlanMissing,
    PlanReady,
    PlanSettled,
    PrincipalRepaid,
    ReleaseCollection,
    RetryCollection,
    ScanPlans,
)
from agents.runtime.decision import Message
from agents.runtime.messages import DEAD_LETTERS, GATEWAY_REPLIES, DeadLettered, Known, Mismatch, Suspended
from agents.trading import messages as trading
from agents.trading.messages import (
    ApproveFull,
    BidChanged,
    BidDeadline,
    FailListing,
    FailStep,
    LoanChanged,
    LoanMoved,
    PassFirstAudit,
    PlaceBid,
    PlanCheck,
    PlanStep,
    Publish,
    RaisingEnded,
    RefuseFirstAudit,
    RefuseFull,
    ReserveCredit,
    ResumeLoan,
    RetryDisbursement,
    ScanLoans,
    Withdraw,
)
from agents.users import messages as users
from agents.users.messages import (
    AuthorizationChanged,
    AuthorizeRepay,
    CancelRegistration,
    MemberOpened,
    MemberRegistered,
    OpeningChanged,
    Register,
    RegistrationCancelled,
    RegistrationEnded,
    RequestRecharge,
    RetrySecondPhase,
    SecondPhaseDue,
    SubmitOpening,
    TransferChanged,
    TryDeadline,
)
from bank import messages as bank
from bank.messages import (
    Answered,
    Close,
    CloseDay,
    ConfirmByMember,
    DayBegan,
    DayStands,
    Ended,
    Execute,
    Instruct,
    NoticeDue,
    NoticeTried,
    OpenDay,
    RefuseByMember,
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
        ("gateway", "accounts", "custody", "users"),
        ("users",),
        "Commands to registrations and members, the branches' answers to their coordinator, and custody's to members.",
    ),
    Topic(
        accounts.TOPIC,
        "accounts",
        "account id",
        8,
        7 * DAY_MS,
        ("users", "gateway"),
        ("accounts",),
        "Try, confirm and cancel of a login account; log-ins of who works here.",
    ),
    Topic(users.EVENTS, "users", "member id", 8, 7 * DAY_MS, ("users",), (), "Facts about members and registrations, for anyone."),
    Topic(
        trading.TOPIC,
        "trading",
        "loan id, or calendar",
        8,
        7 * DAY_MS,
        ("gateway", "custody", "repayments", "trading"),
        ("trading",),
        "Commands to loans and their bids, and what custody and repayments answer to loans.",
    ),
    Topic(trading.EVENTS, "trading", "loan id", 8, 7 * DAY_MS, ("trading",), (), "Facts about loans, for anyone."),
    Topic(
        repayments.TOPIC,
        "repayments",
        "loan id, or calendar",
        8,
        7 * DAY_MS,
        ("gateway", "custody", "trading", "repayments"),
        ("repayments",),
        "Plans to be made, what becomes due, payments, and what custody answers to collections.",
    ),
    Topic(repayments.EVENTS, "repayments", "loan id", 8, 7 * DAY_MS, ("repayments",), (), "Facts about plans and payments, for anyone."),
    Topic(
        custody.TOPIC,
        "custody",
        "request number, or calendar",
        8,
        7 * DAY_MS,
        ("gateway", "users", "trading", "repayments", "custody"),
        ("custody",),
        "Orders to the bank, and what the bank has noticed, answered or been asked.",
    ),
    Topic(
        GATEWAY_REPLIES,
        "gateway",
        "gateway process",
        8,
        HOUR_MS,
        ("users", "accounts", "trading", "repayments", "custody"),
        ("gateway",),
        "Answers for a waiting HTTP request; read from the end, without a group.",
    ),
    Topic(
        DEAD_LETTERS,
        "runtime",
        "dead letter id",
        8,
        7 * DAY_MS,
        ("users", "accounts", "trading", "repayments", "custody"),
        (),
        "Announces records that could not be read; the bytes are rows in the service's store.",
    ),
)

BANK_TOPICS: tuple[Topic, ...] = (  # on a bus of its own: the bank is an outside company
    Topic(
        bank.TOPIC,
        "bank",
        "request number, or the day",
        1,
        7 * DAY_MS,
        ("bank",),
        ("bank",),
        "Instructions to the ledger, which is one mailbox, and its timers.",
    ),
    Topic(
        bank.RESULTS,
        "bank",
        "request number",
        8,
        7 * DAY_MS,
        ("bank", "notifier"),
        ("notifier",),
        "What has ended, for the notifier, and its own tries to tell platforms.",
    ),
    Topic(
        GATEWAY_REPLIES,
        "bank",
        "HTTP process of the bank",
        8,
        HOUR_MS,
        ("bank",),
        ("bank",),
        "Answers for a waiting HTTP request at the bank; read from the end, without a group.",
    ),
    Topic(
        DEAD_LETTERS,
        "bank",
        "dead letter id",
        8,
        7 * DAY_MS,
        ("bank", "notifier"),
        (),
        "Announces records of the bank that could not be read.",
    ),
)

MESSAGES: tuple[type[Message], ...] = (
    *users.COMMANDS,
    *users.SAYS,
    *accounts.COMMANDS,
    *accounts.SAYS,
    *trading.COMMANDS,
    *trading.SAYS,
    *repayments.COMMANDS,
    *repayments.SAYS,
    *custody.COMMANDS,
    *custody.SAYS,
    *bank.COMMANDS,
    *bank.SAYS,
    Known,
    Mismatch,
    Suspended,
    DeadLettered,
)
BY_TYPE: dict[str, type[Message]] = {message.type: message for message in MESSAGES}
BY_NAME: dict[str, Topic] = {topic.name: topic for topic in (*BANK_TOPICS, *TOPICS)}


def messages_of(topic: str) -> tuple[type[Message], ...]:
    """What may stand on a topic."""
    return tuple(message for message in MESSAGES if topic in (message.topic, *message.also))


__all__ = [
    "BANK_TOPICS",
    "BY_NAME",
    "BY_TYPE",
    "MESSAGES",
    "TOPICS",
    "Answered",
    "ApproveFull",
    "AskDate",
    "AskPlan",
    "AuthorizationChanged",
    "AuthorizeRepay",
    "BidChanged",
    "BidDeadline",
    "Cancel",
    "CancelRegistration",
    "Cancelled",
    "Close",
    "CloseDay",
    "CloseOrder",
    "Closed",
    "CollectionStep",
    "Confirm",
    "ConfirmByMember",
    "Confirmed",
    "CreateStaff",
    "DateAnswered",
    "DateNotice",
    "DateRolled",
    "DayBegan",
    "DayStands",
    "DeadLettered",
    "Due",
    "Ended",
    "Execute",
    "FailListing",
    "FailStep",
    "GeneratePlan",
    "InstalmentPaid",
    "Instruct",
    "Known",
    "LoanChanged",
    "LoanMoved",
    "MakeReceivables",
    "MemberOpened",
    "MemberRegistered",
    "Message",
    "Mismatch",
    "Notice",
    "NoticeAlone",
    "NoticeDue",
    "NoticeTried",
    "OpenDay",
    "OpeningChanged",
    "OrderAwaiting",
    "OrderDisputed",
    "OrderEnded",
    "PassFirstAudit",
    "Pay",
    "PaymentChanged",
    "PlaceBid",
    "PlaceOrder",
    "PlanCheck",
    "PlanMissing",
    "PlanReady",
    "PlanSettled",
    "PlanStep",
    "PrincipalRepaid",
    "Publish",
    "Queried",
    "RaisingEnded",
    "RefuseByMember",
    "RefuseFirstAudit",
    "RefuseFull",
    "Refused",
    "Register",
    "Registered",
    "RegistrationCancelled",
    "RegistrationEnded",
    "ReleaseCollection",
    "RequestRecharge",
    "ReserveCredit",
    "ResultDue",
    "ResumeLoan",
    "RetryCollection",
    "RetryDisbursement",
    "RetrySecondPhase",
    "ScanLoans",
    "ScanPlans",
    "SecondPhaseDue",
    "StaffCreated",
    "SubmitOpening",
    "Suspended",
    "Topic",
    "TransferChanged",
    "Tried",
    "Try",
    "TryDeadline",
    "Withdraw",
    "messages_of",
]
