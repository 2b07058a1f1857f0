"""What an accepted instruction does in the ledger, by kind (docs/bank-api.md). Pure: looks at the books, says what to enter.

A refusal has a stable code and enters nothing. Linked sets (`confirm_loan`, `confirm_repayment`) are entered whole or refused whole.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

from bank.ledger import Books, with_hold
from bank.model import (
    BID,
    CARD_NETWORK,
    FEE,
    REPAYMENT,
    Account,
    Authorization,
    Entry,
    Hold,
    HoldState,
    Project,
    ProjectState,
    Request,
    Transfer,
)
from config.bank import CARD_FEN_MAX, COLLECT_FEN_MIN, HOLDS_MAX

REPAY = "repay"  # scope of an authorization; that of bids is called as their holds are


@dataclass(frozen=True, slots=True)
class Done:
    """What to enter, or why not."""

    entries: tuple[Entry, ...] = ()
    amount_fen: int = 0
    details: Mapping[str, Any] = field(default_factory=dict)
    refused: str | None = None


def execute(request: Request, books: Books) -> Done:
    """The effect of a request on the books as they stand."""
    return _KINDS[request.kind](request, books)


def _refuse(code: str) -> Done:
    return Done(refused=code)


def open_account(request: Request, books: Books) -> Done:
    """A custody account for a person who has none; its number follows from the request."""
    content = request.content
    if content["name_refused"]:
        return _refuse("name_refused")
    if books.person_has_account(request.person_lookup):
        return _refuse("person_has_account")
    assert request.password_hash is not None and request.person_lookup is not None, "the page has asked for the deposit password"
    assert request.sealed_content is not None and books.date is not None, "the API has sealed what is personal"
    custody_no = number_of(request.id)
    account = Account(
        custody_no, content["member_id"], request.person_lookup, request.sealed_content, content["card"], request.password_hash, books.date
    )
    return Done((account,), 0, {"custody_no": custody_no, "card": content["card"]})


def recharge(request: Request, books: Books) -> Done:
    """Money from the member's card."""
    account = books.accounts.get(request.content["custody_no"])
    if account is None:
        return _refuse("unknown_account")
    amount_fen = request.content["amount_fen"]
    if amount_fen > CARD_FEN_MAX:
        return _refuse("card_refused")
    return Done((Transfer(CARD_NETWORK, account.available, amount_fen),), amount_fen)


def authorize(request: Request, books: Books) -> Done:
    """From now on the platform may do this without the deposit password; a new one takes the place of the old."""
    content = request.content
    if content["custody_no"] not in books.accounts:
        return _refuse("unknown_account")
    made = Authorization(request.id, content["custody_no"], content["scope"], content["cap_fen"], content["expires_on"])
    return Done((made,), 0, {"authorization_no": request.id})


def establish_project(request: Request, books: Books) -> Done:
    """A loan that takes bids from now on."""
    content = request.content
    if content["custody_no"] not in books.accounts:
        return _refuse("unknown_account")
    if content["project_no"] in books.projects:
        return _refuse("project_exists")
    made = Project(content["project_no"], content["custody_no"], content["amount_fen"], ProjectState.RAISING)
    return Done((made,), content["amount_fen"])


def hold(request: Request, books: Books) -> Done:
    """An investor's money is held for a project."""
    content = request.content
    project, account = books.projects.get(content["project_no"]), books.accounts.get(content["custody_no"])
    if account is None:
        return _refuse("unknown_account")
    if project is None or project.state is not ProjectState.RAISING or project.holds >= HOLDS_MAX:
        return _refuse("project_closed")
    amount_fen = content["amount_fen"]
    if not request.page and ((by := books.authorization(account.custody_no, BID)) is None or by.cap_fen < amount_fen):
        return _refuse("not_authorized")
    if books.available(account.custody_no) < amount_fen:
        return _refuse("insufficient")
    made = Hold(request.id, project.project_no, account.custody_no, amount_fen, BID, HoldState.HELD)
    return Done((Transfer(account.available, account.held, amount_fen), made, with_hold(project, made, sign=1)), amount_fen)


def release(request: Request, books: Books) -> Done:
    """What is held goes back to whose it is."""
    found = books.holds.get(request.content["hold_no"])
    if found is None or found.state is not HoldState.HELD:
        return _refuse("not_held")
    account = books.accounts[found.custody_no]
    back = Transfer(account.held, account.available, found.amount_fen)
    after = with_hold(books.projects[found.project_no], found, sign=-1)
    return Done((back, replace(found, state=HoldState.RELEASED), after), found.amount_fen)


def confirm_loan(request: Request, books: Books) -> Done:
    """All bids of the project become the borrower's money, one linked set."""
    content = request.content
    project = books.projects.get(content["project_no"])
    if project is None or project.state is not ProjectState.RAISING:
        return _refuse("project_closed")
    bids = books.bids_of(project.project_no)
    if (len(bids), sum(bid.amount_fen for bid in bids)) != (content["count"], content["sum_fen"]):
        return _refuse("set_differs")
    borrower = books.accounts[project.custody_no]
    moved = tuple(Transfer(books.accounts[bid.custody_no].held, borrower.available, bid.amount_fen) for bid in bids)
    posted = tuple(replace(bid, state=HoldState.POSTED) for bid in bids)
    paid_out = replace(project, state=ProjectState.CONFIRMED, holds=0, held_fen=0)
    return Done((*moved, *posted, paid_out), content["sum_fen"])


def close_project(request: Request, books: Books) -> Done:
    """The project takes nothing more; nothing may be held for it."""
    project = books.projects.get(request.content["project_no"])
    if project is None:
        return _refuse("project_closed")
    if project.holds:
        return _refuse("holds_left")
    return Done((replace(project, state=ProjectState.CLOSED),))


def collect(request: Request, books: Books) -> Done:
    """Hold a repayment: on its page exactly what is due, by authorization what there is of it, if that is enough."""
    content = request.content
    account = books.accounts.get(content["custody_no"])
    project = books.projects.get(content["project_no"])
    if account is None:
        return _refuse("unknown_account")
    if project is None or project.state is not ProjectState.CONFIRMED:
        return _refuse("project_closed")
    if content["valid_on"] != books.date:
        return _refuse("date_passed")
    due_fen = amount_fen = content["due_fen"]
    if not request.page:
        by = books.authorization(account.custody_no, REPAY)
        if by is None:
            return _refuse("not_authorized")
        amount_fen = min(due_fen, by.cap_fen, books.available(account.custody_no))
        if amount_fen < min(COLLECT_FEN_MIN, due_fen):
            return _refuse("insufficient")
    elif books.available(account.custody_no) < due_fen:
        return _refuse("insufficient")
    made = Hold(request.id, content["project_no"], account.custody_no, amount_fen, REPAYMENT, HoldState.HELD)
    return Done((Transfer(account.available, account.held, amount_fen), made, with_hold(project, made, sign=1)), amount_fen)


def confirm_repayment(request: Request, books: Books) -> Done:
    """What was collected goes to the investors and the fee, one linked set."""
    content = request.content
    found = books.holds.get(content["collect_no"])
    if found is None or found.state is not HoldState.HELD or found.purpose != REPAYMENT:
        return _refuse("not_held")
    parts = [(part["custody_no"], part["amount_fen"]) for part in content["parts"]]
    if sum(amount_fen for _, amount_fen in parts) + content["fee_fen"] != found.amount_fen:
        return _refuse("set_differs")
    if any(custody_no not in books.accounts for custody_no, _ in parts):
        return _refuse("unknown_account")
    payer = books.accounts[found.custody_no]
    moved = [Transfer(payer.held, books.accounts[custody_no].available, amount_fen) for custody_no, amount_fen in parts if amount_fen]
    if content["fee_fen"]:
        moved.append(Transfer(payer.held, FEE, content["fee_fen"]))
    after = with_hold(books.projects[found.project_no], found, sign=-1)
    return Done((*moved, replace(found, state=HoldState.POSTED), after), found.amount_fen)


_KINDS: Mapping[str, Callable[[Request, Books], Done]] = {
    "open_account": open_account,
    "recharge": recharge,
    "authorize": authorize,
    "establish_project": establish_project,
    "hold": hold,
    "release": release,
    "confirm_loan": confirm_loan,
    "close_project": close_project,
    "collect": collect,
    "confirm_repayment": confirm_repayment,
}
KINDS = tuple(_KINDS)


def number_of(request_no: str) -> str:
    """The number of the account that a request opens: `6` and 17 digits that follow from the request's."""
    return f"6{int(request_no.replace('-', ''), 16) % 10**17:017d}"


def day_after(day: str) -> str:
    """The next business date; the bank works every day."""
    return (date.fromisoformat(day) + timedelta(days=1)).isoformat()
