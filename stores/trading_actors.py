"""How loans are loaded and saved: the loan, and the bids beside it that the messages of a batch need.

`Need` kinds: `bid` by its id; `open_bids_of` an investor; `bids` from a place on, those that have not ended; `unended`, those that
are being given back or that the bank says two things of; `order`, by request number: the bid whose hold or release it is, and for
the order that pays out the first bids of the plan.
"""

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import bindparam, literal_column, or_, select

from agents.runtime.calendar import KEY
from agents.runtime.decision import Need
from agents.trading.model import EVERY, Bid, BidStatus, Loan, Status
from config.products import BIDS_STEP
from stores.actors import Actors, Change, Wanted
from stores.calendars import Calendars
from stores.engine import Row, Tx
from stores.kinds import MAIN, Kinds
from stores.statement import Statement, first, in_list, insert_row, put_row
from stores.trading import bid, calendar, history, loan, waiting

_DUE = Statement(
    first(
        select(loan.c.id)
        .where(loan.c.raising_until < bindparam("day"), loan.c.status == literal_column("'RAISING'"), loan.c.id > bindparam("after"))
        .order_by(loan.c.id),
        "limit",
    ),
    "day", "after", "limit",
)  # fmt: skip
_BY_IDS = Statement(select(bid).where(or_(in_list(bid.c.id, "ids"), in_list(bid.c.release_no, "releases"))), "ids", "releases")
_OPEN_OF = Statement(
    select(bid).where(bid.c.loan == bindparam("of"), bid.c.status == bindparam("open"), in_list(bid.c.investor, "investors")),
    "of", "open", "investors",
)  # fmt: skip
_NEXT = Statement(
    first(
        select(bid)
        .where(bid.c.loan == bindparam("of"), bid.c.place > bindparam("after"), in_list(bid.c.status, "statuses"))
        .order_by(bid.c.place),
        "limit",
    ),
    "of", "after", "statuses", "limit",
)  # fmt: skip
_PUT_BID = put_row(bid)
_HISTORY = insert_row(history, skip=("id",))
_UNENDED = sorted((BidStatus.RELEASING.value, BidStatus.SUSPENDED.value))
_LIVE = sorted((BidStatus.ACCEPTED.value, BidStatus.PENDING.value, *_UNENDED))


def _to_row(x: Loan) -> Row:
    return (
        x.borrower, x.person_lookup, x.custody_no, x.title, x.amount_fen, x.annual_rate, x.investor_rate, x.months, x.method,
        x.raising_days, x.status.value, x.created_ms, x.changed_ms, x.reason, x.stood, x.first_auditor, x.second_auditor, x.raising_until,
        x.cap, x.lpr_since, x.accepted_fen, x.accepted, x.reserved_fen, x.places, x.establish_no, x.confirm_no, x.close_no, x.ending,
        x.failing_after, x.start_date, x.plan_round, x.plan_checksum, x.outstanding_fen,
    )  # fmt: skip


def _from_row(key: str, row: Row) -> Loan:
    return Loan(*(key, *row[:10], Status(row[10]), *row[11:]))


def _bid_row(b: Bid) -> Row:
    known = (b.id, b.loan, b.place, b.investor, b.custody_no, b.amount_fen, b.status.value)
    return (*known, b.created_ms, b.changed_ms, b.page_url, b.reason, b.release_no)


def _bid(row: Row) -> Bid:
    return Bid(*(*row[:6], BidStatus(row[6]), *row[7:]))


class Loans:
    """An `ActorStore` of loans."""

    def __init__(self) -> None:
        self._loans: Actors[Loan] = Actors(loan, to_row=_to_row, from_row=_from_row)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Loan, int]]:
        """The loans that exist, each with its version and the bids that are needed."""
        found = self._loans.load(tx, actors)
        seen: dict[str, dict[str, Bid]] = {key: {} for key in found}
        windows: dict[str, dict[int, int]] = {key: {} for key in found}
        rows = self._named(tx, needs)
        for key, (each, _) in found.items():
            rows += self._of(tx, each, [need for of, need in needs if of == key], windows[key])
        for one in map(_bid, rows):
            if one.loan in seen:
                seen[one.loan][one.id] = one
        return {key: (replace(each, seen=seen[key], windows=windows[key]), version) for key, (each, version) in found.items()}

    def _named(self, tx: Tx, needs: Sequence[Wanted]) -> list[Row]:
        ids = sorted({need.key for _, need in needs if need.kind in ("bid", "order")})
        return tx.all(_BY_IDS, tx.list(ids), tx.list(ids)) if ids else []

    def _of(self, tx: Tx, each: Loan, needs: Sequence[Need], windows: dict[int, int]) -> list[Row]:
        """What is needed of one loan's bids; `windows` hears how far what is read from a place on goes."""
        rows: list[Row] = []
        if investors := sorted({need.key for need in needs if need.kind == "open_bids_of"}):
            rows += tx.all(_OPEN_OF, each.id, BidStatus.PENDING.value, tx.list(investors))
        if any(need.kind == "unended" for need in needs):
            rows += tx.all(_NEXT, each.id, 0, tx.list(_UNENDED), EVERY)
        starts = {int(need.after) for need in needs if need.kind == "bids"}
        if any(need.kind == "order" and need.key == each.confirm_no for need in needs):
            starts.add(0)
        for start in sorted(starts):
            found = tx.all(_NEXT, each.id, start, tx.list(_LIVE), BIDS_STEP + 1)  # one more tells whether there are more
            rows += found[:BIDS_STEP]
            windows[start] = _bid(found[BIDS_STEP - 1]).place if len(found) > BIDS_STEP else EVERY
        return rows

    def save(self, tx: Tx, changes: Sequence[Change[Loan]]) -> None:
        """Write the loans, the bids that have changed, and the new lines of history. Raises StaleVersion."""
        self._loans.save(tx, changes)
        after = [c.after for c in sorted(changes, key=lambda c: c.actor) if c.after is not None]
        tx.many(_PUT_BID, sorted(_bid_row(one) for each in after for one in each.changed.values()))
        tx.many(_HISTORY, [(each.id, step.status, step.at_ms, step.who, step.reason) for each in after for step in each.steps])


LOANS = Kinds({MAIN: Loans(), KEY.partition(":")[0]: Calendars(calendar, waiting, _DUE)})
