"""What may be said to the repayment service, and what it says: plans, receivables, collections (FLOWS 5).

Keyed by the loan, whose plan has its id. Amounts are fen, rates exact decimals as text, dates business dates as ISO text.
Custody's answers come to the same mailbox; they are declared where they are said.
"""

from pydantic import BaseModel, ConfigDict

from agents.custody.messages import DateRolled, OrderAwaiting, OrderDisputed, OrderEnded
from agents.runtime.calendar import need_of
from agents.runtime.decision import Message, Need
from agents.runtime.messages import GATEWAY_REPLIES

TOPIC = "repayments.commands"
EVENTS = "repayments.events"
TRADING = "trading.commands"
RECEIVABLES_STEP = 500


class LentBid(BaseModel):
    """One accepted bid as the plan needs it, a part of `GeneratePlan`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: str
    investor: str
    custody_no: str
    amount_fen: int


class GeneratePlan(Message):
    """Make the plan of a loan that was disbursed on `start_date`. Its bids come by steps of at most 500, numbered from 0.

    Sent again it is answered, not made twice; a step that is there already changes nothing.
    """

    type = "repayments.GeneratePlan"
    topic = TOPIC
    id: str  # loan id
    borrower: str
    custody_no: str
    amount_fen: int
    annual_rate: str
    investor_rate: str
    months: int
    method: str
    start_date: str
    project_no: str
    step: int
    bids: tuple[LentBid, ...]
    last: bool

    def needs(self) -> tuple[Need, ...]:
        """The bids that came before."""
        return (Need("bids"),)


class MakeReceivables(Message):
    """The next receivables of a plan that is being made; `made` are there, instalment after instalment, in each all bids in order."""

    type = "repayments.MakeReceivables"
    topic = TOPIC
    id: str
    made: int

    def needs(self) -> tuple[Need, ...]:
        """The plan's bids."""
        return (Need("bids"),)


class AskPlan(Message):
    """Is the plan there? Answered `PlanReady` or `PlanMissing` (the seed's check of results)."""

    type = "repayments.AskPlan"
    topic = TOPIC
    id: str


class ScanPlans(Message):
    """A step of the calendar: which plans have an instalment due on this business date or before."""

    type = "repayments.ScanPlans"
    topic = TOPIC
    id: str  # calendar
    date: str
    after: str

    def needs(self) -> tuple[Need, ...]:
        """The next plans with something due."""
        return (need_of(self.date, self.after),)


class Due(Message):
    """Something of the plan is due on this business date: collect it. The bank refuses where the borrower has not authorized that."""

    type = "repayments.Due"
    topic = TOPIC
    id: str
    date: str

    def needs(self) -> tuple[Need, ...]:
        """The instalments that are not paid."""
        return (Need("instalments"),)


class Pay(Message):
    """The borrower wants to pay what is due, on the bank's page."""

    type = "repayments.Pay"
    topic = TOPIC
    id: str  # of the collection
    loan: str
    borrower: str

    def needs(self) -> tuple[Need, ...]:
        """The instalments that are not paid, and the collection, if it is there."""
        return (Need("instalments"), Need("collection", self.id))

    def thing(self, actor: str) -> str:
        """A collection of the plan."""
        return self.id


class CollectionStep(Message):
    """The open collection goes on at this claim: its records are written while it is FROZEN, and paid while it is BOOKING.

    `number` 0: all its records are written, and it is the order's turn.
    """

    type = "repayments.CollectionStep"
    topic = TOPIC
    id: str
    collection: str
    number: int
    place: int

    def needs(self) -> tuple[Need, ...]:
        """All claims of the instalment; what each custody account gets."""
        return (Need("step", str(self.number)) if self.number else Need("parts"),)


class RetryCollection(Message):
    """An operator lets the booking of a SUSPENDED collection be tried again, under a new number."""

    type = "repayments.RetryCollection"
    topic = TOPIC
    id: str
    operator: str

    def needs(self) -> tuple[Need, ...]:
        """What the open collection goes on with."""
        return (Need("order"), Need("parts"))


class ReleaseCollection(Message):
    """An operator gives the money of a SUSPENDED collection back."""

    type = "repayments.ReleaseCollection"
    topic = TOPIC
    id: str
    operator: str


class PlanReady(Message):
    """The plan is there, whole; the checksum is over its instalments and receivables. To the loan."""

    type = "repayments.PlanReady"
    topic = TRADING
    id: str
    checksum: str


class PlanMissing(Message):
    """There is no plan, or not all of it: `steps` of its bids are there. To the loan."""

    type = "repayments.PlanMissing"
    topic = TRADING
    id: str
    steps: int


class PrincipalRepaid(Message):
    """So much principal was repaid, and so much is still owed. To the loan, with the payment's business date."""

    type = "repayments.PrincipalRepaid"
    topic = TRADING
    id: str
    collection: str
    amount_fen: int
    outstanding_fen: int
    date: str


class PlanSettled(Message):
    """Nothing is owed any more. To the loan."""

    type = "repayments.PlanSettled"
    topic = TRADING
    id: str
    date: str


class PaymentChanged(Message):
    """The answer to a borrower: the bank's page, or how the collection has ended.

    `collection` names the one that was open already, with its page: a second payment is not begun beside it.
    """

    type = "repayments.PaymentChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    loan: str
    status: str
    amount_fen: int = 0
    page_url: str | None = None
    reason: str | None = None
    collection: str | None = None

    def thing(self, actor: str) -> str:
        """A collection of the plan."""
        return self.id


class InstalmentPaid(Message):
    """An instalment is paid, or partly paid, for anyone."""

    type = "repayments.InstalmentPaid"
    topic = EVENTS
    id: str
    number: int
    status: str
    date: str


COMMANDS: tuple[type[Message], ...] = (
    GeneratePlan,
    MakeReceivables,
    AskPlan,
    ScanPlans,
    Due,
    Pay,
    CollectionStep,
    RetryCollection,
    ReleaseCollection,
)
SAYS: tuple[type[Message], ...] = (PlanReady, PlanMissing, PrincipalRepaid, PlanSettled, PaymentChanged, InstalmentPaid)
HEARD: tuple[type[Message], ...] = (OrderAwaiting, OrderEnded, OrderDisputed, DateRolled)  # of custody
Command = (
    GeneratePlan
    | MakeReceivables
    | AskPlan
    | ScanPlans
    | Due
    | Pay
    | CollectionStep
    | RetryCollection
    | ReleaseCollection
    | OrderAwaiting
    | OrderEnded
    | OrderDisputed
    | DateRolled
)
