"""How plans are loaded and saved: the plan, its open collection, and the rows beside it that the messages of a batch need.

`Need` kinds: `bids` and `instalments` (those not paid yet) of the plan; `collection` by id; `order`, by request number, and
`parts`: what the open collection goes on with; `step`: all claims of the instalment `key` of the open collection.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter

from sqlalchemy import Table, and_, bindparam, func, select

from agents.repayments.model import (
    Allotment,
    Bid,
    Collection,
    CollectionStatus,
    Instalment,
    InstalmentStatus,
    Part,
    Plan,
    PlanStatus,
    Receivable,
    Record,
    Rows,
    Way,
)
from agents.runtime.decision import Need
from stores import repayments as tables
from stores.actors import Actors, Change, Wanted
from stores.calendars import Calendars
from stores.engine import Row, Tx
from stores.kinds import MAIN, Kinds
from stores.statement import Statement, first, in_list, put_row

AT_ONCE_MAX = 500  # so many claims come with the end of an order; more come step by step


def _plan_row(p: Plan) -> Row:
    terms = (p.borrower, p.custody_no, p.project_no, p.amount_fen, p.annual_rate, p.investor_rate, p.months, p.method, p.start_date)
    return (*terms, p.status.value, p.steps, p.bids, p.made, p.checksum, p.outstanding_fen, p.next_due, p.asked_on, p.collection)


def _plan(key: str, row: Row) -> Plan:
    terms, rest = row[:9], row[10:]
    return Plan(*(key, *terms, PlanStatus(row[9]), *rest))


def _instalment_row(loan: str, i: Instalment) -> Row:
    planned = (loan, i.number, i.due_date, i.principal_fen, i.pool_fen, i.fee_fen, i.balance_fen)
    return (*planned, i.status.value, i.principal_paid_fen, i.pool_paid_fen, i.fee_paid_fen, i.penalty_paid_fen, i.paid_on)


def _instalment(row: Row) -> Instalment:
    return Instalment(*(*row[1:7], InstalmentStatus(row[7]), *row[8:]))


def _collection_row(loan: str, c: Collection) -> Row:
    known = (c.id, loan, c.way.value, c.status.value, c.due_fen, c.valid_on, c.created_ms, c.changed_ms)
    return (*known, c.amount_fen, c.booked_date, c.page_url, c.reason, c.order_no, *(c.step or (None, None)), c.open_id)


def _collection(row: Row) -> Collection:
    step = None if row[13] is None else (row[13], row[14])
    return Collection(*(row[0], Way(row[2]), CollectionStatus(row[3]), *row[4:13], step, row[15]))


def _of_loans(table: Table, *order: str) -> Statement:
    """The rows of some loans, in order."""
    query = select(table).where(in_list(table.c.loan, "loans"))
    return Statement(query.order_by(table.c.loan, *(table.c[name] for name in order)), "loans")


def _between(table: Table, key: str) -> Statement:
    """The claims' rows of the instalments from one number to another."""
    number = table.c.number
    query = select(table).where(table.c[key] == bindparam("of"), number >= bindparam("from_number"), number <= bindparam("to_number"))
    return Statement(query.order_by(number, table.c.place), "of", "from_number", "to_number")


_COLLECTIONS = Statement(select(tables.collection).where(in_list(tables.collection.c.id, "ids")), "ids")
_BIDS = _of_loans(tables.plan_bid, "place")
_UNPAID = Statement(
    select(tables.instalment)
    .where(in_list(tables.instalment.c.loan, "loans"), tables.instalment.c.status != bindparam("paid"))
    .order_by(tables.instalment.c.loan, tables.instalment.c.number),
    "loans",
    "paid",
)
_ALLOTMENTS = Statement(select(tables.allotment).where(in_list(tables.allotment.c.collection, "ids")), "ids")
_RECEIVABLES = _between(tables.receivable, "loan")
_RECORDS = _between(tables.repayment_record, "collection")
_record = tables.repayment_record.c
_PARTS = Statement(
    select(
        tables.plan_bid.c.custody_no,
        func.sum(_record.penalty_fen + _record.interest_fen + _record.principal_fen),
    )
    .select_from(
        tables.repayment_record.join(tables.collection, tables.collection.c.id == _record.collection).join(
            tables.plan_bid, and_(tables.plan_bid.c.loan == tables.collection.c.loan, tables.plan_bid.c.place == _record.place)
        )
    )
    .where(_record.collection == bindparam("of"))
    .group_by(tables.plan_bid.c.custody_no)
    .order_by(func.min(tables.plan_bid.c.place)),
    "of",
)
_DUE = Statement(
    first(
        select(tables.plan.c.id)
        .where(tables.plan.c.next_due <= bindparam("day"), tables.plan.c.id > bindparam("after"))
        .order_by(tables.plan.c.id),
        "limit",
    ),
    "day",
    "after",
    "limit",
)
_PUT_BID, _PUT_INSTALMENT, _PUT_RECEIVABLE = put_row(tables.plan_bid), put_row(tables.instalment), put_row(tables.receivable)
_PUT_COLLECTION, _PUT_ALLOTMENT, _PUT_RECORD = put_row(tables.collection), put_row(tables.allotment), put_row(tables.repayment_record)


@dataclass(slots=True)
class _Beside:
    """What is found beside one plan."""

    plan: Plan
    needs: list[Need]
    bids: dict[int, Bid] = field(default_factory=dict)
    instalments: dict[int, Instalment] = field(default_factory=dict)
    receivables: dict[tuple[int, int], Receivable] = field(default_factory=dict)
    collections: dict[str, Collection] = field(default_factory=dict)
    allotments: dict[tuple[str, int], Allotment] = field(default_factory=dict)
    records: dict[tuple[str, int, int], Record] = field(default_factory=dict)
    parts: tuple[Part, ...] = ()

    @property
    def open(self) -> Collection | None:
        return None if self.plan.collection is None else self.collections[self.plan.collection]

    def wants(self, *kinds: str) -> bool:
        """Whether a message needs one of these; what goes on with a collection is nothing to do without one, or with another order."""
        return any(need.kind in kinds and self._concerns(need) for need in self.needs)

    def _concerns(self, need: Need) -> bool:
        if need.kind == "order":
            return self.open is not None and need.key in ("", self.open.id, self.open.order_no)
        return self.open is not None or need.kind not in ("parts", "step")

    def numbers(self) -> list[tuple[int, int]]:
        """The ranges of instalments whose claims are needed: of a step one, of an order all that it may pay, if they are few."""
        found = [(int(need.key), int(need.key)) for need in self.needs if need.kind == "step" and self.open is not None]
        if self.open is not None and self.wants("order"):
            due = [i.number for i in self.instalments.values() if i.due_date <= self.open.valid_on]
            if due and len(due) * self.plan.bids <= AT_ONCE_MAX:
                found.append((min(due), max(due)))
        return found

    def whole(self) -> Plan:
        """The plan with it."""
        rows = Rows(self.bids, self.instalments, self.receivables, self.collections, self.allotments, self.records)
        return self.plan.but(seen=rows, parts=self.parts)


class Plans:
    """A plan is one row with its version; what lies beside it is written with it and has none of its own."""

    def __init__(self) -> None:
        self._plans: Actors[Plan] = Actors(tables.plan, to_row=_plan_row, from_row=_plan)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Plan, int]]:
        """The plans that exist, each with its open collection, its version, and the rows that its messages need."""
        found = self._plans.load(tx, actors)
        of: dict[str, list[Need]] = {key: [] for key in found}
        for actor, need in needs:
            if actor in of:
                of[actor].append(need)
        beside = {key: _Beside(plan, of[key]) for key, (plan, _) in found.items()}
        _add_collections(tx, list(beside.values()))
        _add_rows(tx, beside)
        for each in beside.values():
            _add_claims(tx, each)
        return {key: (beside[key].whole(), version) for key, (_, version) in found.items()}

    def save(self, tx: Tx, changes: Sequence[Change[Plan]]) -> None:
        """Write the plans and what was written beside them; raises StaleVersion."""
        self._plans.save(tx, changes)
        after = [(change.actor, change.after.changed) for change in changes if change.after is not None]
        tx.many(_PUT_BID, sorted((loan, *bid) for loan, rows in after for bid in rows.bids.values()))
        tx.many(_PUT_INSTALMENT, _sorted(_instalment_row(loan, i) for loan, rows in after for i in rows.instalments.values()))
        tx.many(_PUT_RECEIVABLE, sorted((loan, *r) for loan, rows in after for r in rows.receivables.values()))
        tx.many(_PUT_COLLECTION, _sorted(_collection_row(loan, c) for loan, rows in after for c in rows.collections.values()))
        tx.many(_PUT_ALLOTMENT, sorted(a for _, rows in after for a in rows.allotments.values()))
        tx.many(_PUT_RECORD, sorted(r for _, rows in after for r in rows.records.values()))


def _sorted(rows: Iterable[Row]) -> list[Row]:
    """By the key, which two columns hold at most: the others may be null."""
    return sorted(rows, key=itemgetter(0, 1))


def _add_collections(tx: Tx, plans: Sequence[_Beside]) -> None:
    ids = {b.plan.collection for b in plans if b.plan.collection} | {n.key for b in plans for n in b.needs if n.kind == "collection"}
    if not ids:
        return
    of = {b.plan.id: b for b in plans}
    for row in tx.all(_COLLECTIONS, tx.list(sorted(ids))):
        if row[1] in of:
            of[row[1]].collections[row[0]] = _collection(row)


def _add_rows(tx: Tx, of: Mapping[str, _Beside]) -> None:
    """What comes with one statement for all plans."""
    if loans := sorted(key for key, b in of.items() if b.wants("bids", "order", "step")):
        for row in tx.all(_BIDS, tx.list(loans)):
            of[row[0]].bids[row[1]] = Bid(*row[1:])
    if loans := sorted(key for key, b in of.items() if b.wants("instalments", "order", "step", "parts")):
        for row in tx.all(_UNPAID, tx.list(loans), InstalmentStatus.PAID.value):
            of[row[0]].instalments[row[1]] = _instalment(row)
    by_collection = {b.open.id: b for b in of.values() if b.open is not None and b.wants("order", "step", "parts")}
    if by_collection:
        for row in tx.all(_ALLOTMENTS, tx.list(sorted(by_collection))):
            by_collection[row[0]].allotments[row[0], row[1]] = Allotment(*row)


def _add_claims(tx: Tx, b: _Beside) -> None:
    """What comes for one plan: the claims of the instalments that are paid, and the records of the open collection."""
    for from_number, to_number in b.numbers():
        assert b.open is not None, "claims are needed for a collection"
        for row in tx.all(_RECEIVABLES, b.plan.id, from_number, to_number):
            b.receivables[row[1], row[2]] = Receivable(*row[1:])
        for row in tx.all(_RECORDS, b.open.id, from_number, to_number):
            b.records[row[0], row[1], row[2]] = Record(*row)
    if b.open is not None and b.wants("parts"):
        b.parts = tuple(Part(custody_no, int(amount)) for custody_no, amount in tx.all(_PARTS, b.open.id))


PLANS = Plans()
STORE = Kinds({MAIN: PLANS, "calendar": Calendars(tables.calendar, tables.calendar_waiting, _DUE)})
