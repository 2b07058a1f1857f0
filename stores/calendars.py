"""The calendar of a service as rows: where its scan stands, and the dates that wait for it (FLOWS 5).

Every dated service has the same two tables; what is due on a date is its own question.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from sqlalchemy import Column, Integer, MetaData, Table, Text, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from agents.runtime.calendar import DUE, Calendar
from agents.runtime.decision import Need
from stores.actors import Actors, Change, Wanted
from stores.engine import Row, Tx
from stores.statement import Statement, in_list, insert_row


def calendar_table(metadata: MetaData) -> Table:
    """The calendar: the date that was begun last, and after which key its scan goes on (null: it is done)."""
    return Table(
        "calendar",
        metadata,
        Column("id", Text, primary_key=True),
        Column("version", Integer, nullable=False),
        Column("day", Text, nullable=False),
        Column("after", Text),
    )


def waiting_table(metadata: MetaData) -> Table:
    """The dates that were heard of while an earlier one was being scanned."""
    return Table(
        "calendar_waiting",
        metadata,
        Column("calendar", Text, primary_key=True),
        Column("day", Text, primary_key=True),
    )


def _calendar(key: str, row: Row) -> Calendar:
    return Calendar(key, date.fromisoformat(row[0]), row[1])


class Calendars:
    """An `ActorStore` of calendars; `due` is the query of the keys with something due, with the binds `day`, `after` and `limit`."""

    def __init__(self, calendar: Table, waiting: Table, due: Statement) -> None:
        assert due.binds == ("day", "after", "limit"), f"what is due is asked by day, after and limit, not by {due.binds}"
        self._rows: Actors[Calendar] = Actors(calendar, to_row=lambda c: (c.day.isoformat(), c.after), from_row=_calendar)
        self._due = due
        of = waiting.c.calendar
        self._waiting = Statement(select(of, waiting.c.day).where(in_list(of, "ids")).order_by(waiting.c.day), "ids")
        self._forget = Statement(delete(waiting).where(in_list(of, "ids")), "ids")
        self._wait = insert_row(waiting)

    def load(self, tx: Tx, actors: Sequence[str], needs: Sequence[Wanted] = ()) -> dict[str, tuple[Calendar, int]]:
        """The calendars that exist, with the dates that wait, and what the step that is being taken finds due."""
        found = self._rows.load(tx, actors)
        if not found:
            return found
        waiting: dict[str, list[date]] = {key: [] for key in found}
        for key, day in tx.all(self._waiting, tx.list(sorted(found))):
            waiting[key].append(date.fromisoformat(day))
        due = {key: self._step(tx, calendar, [need for of, need in needs if of == key]) for key, (calendar, _) in found.items()}
        return {key: (replace(calendar, waiting=tuple(waiting[key]), due=due[key]), version) for key, (calendar, version) in found.items()}

    def _step(self, tx: Tx, calendar: Calendar, needs: Sequence[Need]) -> tuple[str, ...]:
        """Of all steps that a batch brings only the one that the calendar waits for finds something."""
        for need in needs:
            if need.kind == DUE and (need.key, need.after) == (calendar.day.isoformat(), calendar.after):
                return tuple(row[0] for row in tx.all(self._due, need.key, need.after, need.limit))
        return ()

    def save(self, tx: Tx, changes: Sequence[Change[Calendar]]) -> None:
        """Write the calendars and the dates that wait; raises StaleVersion."""
        self._rows.save(tx, changes)
        tx.run(self._forget, tx.list(sorted(change.actor for change in changes)))
        tx.many(self._wait, sorted((c.actor, day.isoformat()) for c in changes if c.after is not None for day in c.after.waiting))


async def day_of(connection: AsyncConnection, calendar: Table) -> str | None:
    """The date that the service's calendar has begun last (primary key; a service has one calendar)."""
    return (await connection.execute(select(calendar.c.day))).scalar()
