"""What may be said to the trading centre, and what it says: loans and their bids (FLOWS 4).

Keyed by the loan; a bid is a thing of its loan. Amounts are fen, rates exact decimals as text, dates business dates as ISO text.
Custody's and repayments' answers come to the same mailbox; they are declared where they are said.
"""

from agents.runtime.calendar import need_of
from agents.runtime.decision import Message, Need
from agents.runtime.messages import GATEWAY_REPLIES
from config.products import BIDS_STEP

TOPIC = "trading.commands"
EVENTS = "trading.events"


class Publish(Message):
    """A borrower applies for a loan (发标); it is a DRAFT until its first audit."""

    type = "trading.Publish"
    topic = TOPIC
    id: str  # loan id
    borrower: str  # member id
    person_lookup: str  # keyed hash of the identity number
    custody_no: str
    title: str
    amount_fen: int
    annual_rate: str
    investor_rate: str
    months: int
    method: str
    raising_days: int


class PassFirstAudit(Message):
    """An auditor lets the listing go public (初审)."""

    type = "trading.PassFirstAudit"
    topic = TOPIC
    id: str
    auditor: str  # account id


class RefuseFirstAudit(Message):
    """An auditor refuses the listing."""

    type = "trading.RefuseFirstAudit"
    topic = TOPIC
    id: str
    auditor: str
    reason: str


class PlaceBid(Message):
    """An investor bids (投标): room is reserved, then the bank is asked for the hold."""

    type = "trading.PlaceBid"
    topic = TOPIC
    id: str  # bid id
    loan: str
    investor: str  # member id
    person_lookup: str
    custody_no: str
    amount_fen: int

    def needs(self) -> tuple[Need, ...]:
        """The bid itself, if there is one, and what this investor has open on the loan."""
        return (Need("bid", self.id), Need("open_bids_of", self.investor))

    def thing(self, actor: str) -> str:
        """A bid of the loan."""
        return self.id


class BidDeadline(Message):
    """The hold of a bid has not ended in time: it is given up at the bank, whose answer decides."""

    type = "trading.BidDeadline"
    topic = TOPIC
    id: str  # bid id

    def needs(self) -> tuple[Need, ...]:
        """The bid."""
        return (Need("bid", self.id),)


class ApproveFull(Message):
    """Another person than the first auditor approves the full listing (满标审核): it is disbursed."""

    type = "trading.ApproveFull"
    topic = TOPIC
    id: str
    auditor: str


class RefuseFull(Message):
    """The full listing is refused: it fails, and everything is given back."""

    type = "trading.RefuseFull"
    topic = TOPIC
    id: str
    auditor: str
    reason: str


class Withdraw(Message):
    """The borrower withdraws a listing that is not full yet (撤标)."""

    type = "trading.Withdraw"
    topic = TOPIC
    id: str
    borrower: str


class RetryDisbursement(Message):
    """An operator lets the disbursement of a SUSPENDED loan be tried again, under a new number."""

    type = "trading.RetryDisbursement"
    topic = TOPIC
    id: str
    operator: str


class FailListing(Message):
    """An operator gives up a SUSPENDED loan that was not disbursed: the listing fails."""

    type = "trading.FailListing"
    topic = TOPIC
    id: str
    operator: str
    reason: str


class ResumeLoan(Message):
    """An operator lets a SUSPENDED loan go on where it stood; what has not ended at the bank is asked again under new numbers."""

    type = "trading.ResumeLoan"
    topic = TOPIC
    id: str
    operator: str

    def needs(self) -> tuple[Need, ...]:
        """The bids that something is to be done about."""
        return (Need("unended"),)


class ReserveCredit(Message):
    """A person wants to owe this much more: keyed by `borrower:<hash>` (with the issue on credit)."""

    type = "trading.ReserveCredit"
    topic = TOPIC
    id: str
    loan: str
    amount_fen: int


class FailStep(Message):
    """The next bids of a failing loan: accepted ones are released, open ones closed."""

    type = "trading.FailStep"
    topic = TOPIC
    id: str
    after: str

    def needs(self) -> tuple[Need, ...]:
        """The next bids that have not ended."""
        return (Need("bids", self.id, self.after, BIDS_STEP),)


class PlanStep(Message):
    """The next bids for the plan of a loan that repays from now on."""

    type = "trading.PlanStep"
    topic = TOPIC
    id: str
    after: str
    number: int

    def needs(self) -> tuple[Need, ...]:
        """The next accepted bids."""
        return (Need("bids", self.id, self.after, BIDS_STEP),)


class PlanCheck(Message):
    """The plan should be there by now: ask, and send again what is missing. `round` counts from 1."""

    type = "trading.PlanCheck"
    topic = TOPIC
    id: str
    round: int


class ScanLoans(Message):
    """A step of the calendar: which loans have something due on this business date."""

    type = "trading.ScanLoans"
    topic = TOPIC
    id: str  # calendar
    date: str
    after: str

    def needs(self) -> tuple[Need, ...]:
        """The next loans whose raising has ended."""
        return (need_of(self.date, self.after),)


class RaisingEnded(Message):
    """The last day of raising is over."""

    type = "trading.RaisingEnded"
    topic = TOPIC
    id: str
    date: str


class LoanChanged(Message):
    """The answer to a person who did something to a loan: where it stands, or why it was refused (a stable code)."""

    type = "trading.LoanChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    status: str
    refused: str | None = None


class BidChanged(Message):
    """The answer to an investor: PENDING with the bank's page, or how the bid has ended."""

    type = "trading.BidChanged"
    topic = GATEWAY_REPLIES
    final = True
    id: str
    loan: str
    status: str
    page_url: str | None = None
    reason: str | None = None

    def thing(self, actor: str) -> str:
        """A bid of the loan."""
        return self.id


class LoanMoved(Message):
    """A loan has another status, for anyone."""

    type = "trading.LoanMoved"
    topic = EVENTS
    id: str
    status: str


COMMANDS: tuple[type[Message], ...] = (
    Publish,
    PassFirstAudit,
    RefuseFirstAudit,
    PlaceBid,
    BidDeadline,
    ApproveFull,
    RefuseFull,
    Withdraw,
    RetryDisbursement,
    FailListing,
    ResumeLoan,
    ReserveCredit,
    FailStep,
    PlanStep,
    PlanCheck,
    ScanLoans,
    RaisingEnded,
)
SAYS: tuple[type[Message], ...] = (LoanChanged, BidChanged, LoanMoved)
