"""The business date on which a service stands: one row, read once in every transaction (FLOWS 5.2).

It is kept as its ISO text, which sorts as the dates do and is the same on every database (ADR 0013).
"""

from datetime import date

from sqlalchemy import bindparam, delete, select

from stores.engine import Tx
from stores.runtime import business_day
from stores.statement import Statement, insert_row

_READ = Statement(select(business_day.c.date).where(business_day.c.id == bindparam("of")), "of")
_DELETE = Statement(delete(business_day).where(business_day.c.id == bindparam("of")), "of")
_INSERT = insert_row(business_day)
_ID = 1


def read(tx: Tx) -> date | None:
    """The service's business date; None before it has heard of the first one."""
    rows = tx.all(_READ, _ID)
    return date.fromisoformat(rows[0][0]) if rows else None


def write(tx: Tx, day: date) -> None:
    """From the next transaction on, it is this day."""
    tx.run(_DELETE, _ID)
    tx.run(_INSERT, _ID, day.isoformat())
