"""How the bank's requests, its day and its books are loaded and saved, a batch at a time, inside the loop's transaction."""

from collections.abc import Iterable, Sequence
from typing import Any

import orjson
from sqlalchemy import bindparam, select

from agents.runtime.decision import Message
from bank.ledger import Books, Line
from bank.messages import DAY, Execute
from bank.model import CARD_NETWORK, FEE, Account, Authorization, Day, Hold, HoldState, Project, ProjectState, Request, Status
from bank.tables import account, authorization, balance, day, hold, journal, project, request
from stores.actors import Actors
from stores.engine import Row, Tx
from stores.kinds import MAIN, Kinds
from stores.statement import Statement, in_list, insert_row, put_row


def _request_row(r: Request) -> Row:
    content, details = orjson.dumps(dict(r.content)).decode(), orjson.dumps(dict(r.details)).decode()
    return (
        r.platform, r.kind, r.page, content, r.sealed_content, r.content_mac, r.person_lookup, r.password_hash, r.status.value,
        r.amount_fen, r.booked_date, r.reason, details, r.created_ms, r.changed_ms,
    )  # fmt: skip


def request_of(key: str, row: Row) -> Request:
    """The request of a row, its key and version taken off."""
    platform, kind, page, content, sealed, mac, lookup, password, status, amount, booked, reason, details, created, changed = row
    return Request(
        key, platform, kind, bool(page), orjson.loads(content), sealed, mac, lookup, password, Status(status), amount, booked, reason,
        orjson.loads(details), created, changed,
    )  # fmt: skip


REQUESTS: Actors[Request] = Actors(request, to_row=_request_row, from_row=request_of)
DAYS: Actors[Day] = Actors(day, to_row=lambda d: (d.date,), from_row=lambda key, row: Day(key, row[0]))
ACTORS = Kinds({MAIN: REQUESTS, DAY.partition(":")[0]: DAYS})

_DATE = Statement(select(day.c.date).where(day.c.id == bindparam("of")), "of")
_ACCOUNTS = Statement(select(*account.c).where(in_list(account.c.custody_no, "ids")), "ids")
_PERSONS = Statement(select(*account.c).where(in_list(account.c.person_lookup, "ids")), "ids")
_BALANCES = Statement(select(*balance.c).where(in_list(balance.c.account, "ids")), "ids")
_HOLDS = Statement(select(*hold.c).where(in_list(hold.c.request_no, "ids")), "ids")
_HOLDS_OF = Statement(
    select(*hold.c).where(in_list(hold.c.project_no, "ids"), hold.c.state == bindparam("standing")).order_by(hold.c.request_no),
    "ids",
    "standing",
)
_PROJECTS = Statement(select(*project.c).where(in_list(project.c.project_no, "ids")), "ids")
_AUTHORIZATIONS = Statement(select(*authorization.c).where(in_list(authorization.c.custody_no, "ids")), "ids")
_PUT_ACCOUNT, _PUT_BALANCE, _PUT_HOLD = put_row(account), put_row(balance), put_row(hold)
_PUT_PROJECT, _PUT_AUTHORIZATION = put_row(project), put_row(authorization)
_JOURNAL = insert_row(journal, skip=("id",))


class BankBooks:
    """The `BookStore` of the ledger: what the requests that are executed name, and whatever that leads to."""

    def load(self, tx: Tx, items: Sequence[tuple[Any, Message]]) -> Books:
        """Accounts, holds, projects and authorizations of these requests, with what stands on the accounts."""
        books = Books(date=next((row[0] for row in tx.all(_DATE, DAY)), None))
        requests = [state for state, message in items if isinstance(state, Request) and isinstance(message, Execute)]
        if not requests:
            return books
        contents = [r.content for r in requests]
        self._holds(tx, books, contents, [r for r in requests if r.kind == "confirm_loan"])
        projects = {*_named(contents, "project_no"), *(h.project_no for h in books.holds.values())}
        for row in tx.all(_PROJECTS, tx.list(sorted(projects))):
            books.projects[row[0]] = Project(row[0], row[1], row[2], ProjectState(row[3]), row[4], row[5])
        owners = {*_named(contents, "custody_no"), *_parts(contents), *(h.custody_no for h in books.holds.values())}
        owners |= {p.custody_no for p in books.projects.values()}
        found = tx.all(_ACCOUNTS, tx.list(sorted(owners)))
        lookups = sorted({r.person_lookup for r in requests if r.person_lookup})
        books.accounts.update({row[0]: Account(*row) for row in [*found, *tx.all(_PERSONS, tx.list(lookups))]})
        for custody_no, scope, number, cap_fen, expires_on in tx.all(_AUTHORIZATIONS, tx.list(sorted(owners))):
            books.authorizations[custody_no, scope] = Authorization(number, custody_no, scope, cap_fen, expires_on)
        names = [CARD_NETWORK, FEE, *(n for a in books.accounts.values() for n in (a.available, a.held))]
        books.balances.update(dict(tx.all(_BALANCES, tx.list(sorted(names)))))
        return books

    def _holds(self, tx: Tx, books: Books, contents: Sequence[Any], confirmed: Sequence[Request]) -> None:
        by_number = sorted({*_named(contents, "hold_no"), *_named(contents, "collect_no")})
        of_projects = sorted(_named([r.content for r in confirmed], "project_no"))
        for row in [*tx.all(_HOLDS, tx.list(by_number)), *tx.all(_HOLDS_OF, tx.list(of_projects), HoldState.HELD.value)]:
            number, project_no, custody_no, amount_fen, purpose, state = row
            books.holds[number] = Hold(number, project_no, custody_no, amount_fen, purpose, HoldState(state))

    def save(self, tx: Tx, books: Books) -> None:
        """Write what has changed, in key order, and the new lines of the journal."""
        changed: dict[str, list[str]] = {}
        for kind, key in sorted(books.changed):
            changed.setdefault(kind, []).append(key)
        tx.many(_PUT_ACCOUNT, [_account_row(books.accounts[key]) for key in changed.get("account", ())])
        tx.many(_PUT_BALANCE, [(key, books.balances[key]) for key in changed.get("balance", ())])
        tx.many(_PUT_HOLD, [_hold_row(books.holds[key]) for key in changed.get("hold", ())])
        tx.many(_PUT_PROJECT, [_project_row(books.projects[key]) for key in changed.get("project", ())])
        pairs = [tuple(key.split(" ", 1)) for key in changed.get("authorization", ())]
        tx.many(_PUT_AUTHORIZATION, [_authorization_row(books.authorizations[no, scope]) for no, scope in pairs])
        tx.many(_JOURNAL, [_line_row(line) for line in books.journal])


def _named(contents: Iterable[Any], field: str) -> set[str]:
    return {content[field] for content in contents if field in content}


def _parts(contents: Iterable[Any]) -> set[str]:
    return {part["custody_no"] for content in contents for part in content.get("parts", ())}


def _account_row(a: Account) -> Row:
    return (a.custody_no, a.member_id, a.person_lookup, a.personal, a.card, a.password_hash, a.opened_date)


def _hold_row(h: Hold) -> Row:
    return (h.request_no, h.project_no, h.custody_no, h.amount_fen, h.purpose, h.state.value)


def _project_row(p: Project) -> Row:
    return (p.project_no, p.custody_no, p.amount_fen, p.state.value, p.holds, p.held_fen)


def _authorization_row(a: Authorization) -> Row:
    return (a.custody_no, a.scope, a.authorization_no, a.cap_fen, a.expires_on)


def _line_row(line: Line) -> Row:
    return (line.request_no, line.account, line.amount_fen, line.booked_date, line.at_ms)
