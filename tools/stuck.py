"""`lendbus stuck`: what waits for a person, why, and what may safely be done about it (FLOWS 1.7)."""

import uuid
from functools import partial
from typing import Annotated, Any

import typer

from tools import operate
from tools.operate import UNSAFE_LOCAL
from tools.options import Options
from tools.output import Column, Failed, Output, instant, say
from tools.stuck_things import FAIL, RELEASE, RETRY, tell, things

COLUMNS = (
    Column("id", fixed=True),
    Column("service"),
    Column("kind"),
    Column("state"),
    Column("reason"),
    Column("tries", number=True),
    Column("next_try", spare=True),
    Column("queued", number=True),
    Column("since", spare=True),
    Column("actions", spare=True),
)
QUEUE_SHOWN_MAX = 50
ID = Annotated[str, typer.Argument(help="The id as `stuck ls` prints it.")]


def ls(options: Options) -> None:
    """Everything that waits: actors, rows, attempts and registrations of the runtime; SUSPENDED loans and collections, disputed orders."""
    options.out.rows(options.run(waiting(options)), COLUMNS, empty="nothing is stuck")


def show(options: Options, which: ID) -> None:
    """One thing that waits, with its error and the messages queued behind it."""
    rows, queue = options.run(_shown(options, which))
    for row in rows:
        options.out.block(row)
    _print_queue(options.out, queue)


def redrive(
    options: Options,
    which: ID,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the audit row.")] = "redriven",
    unsafe_local: UNSAFE_LOCAL = False,
) -> None:
    """Try it again in place, now, with a fresh budget: the head of the queue first, then what waits behind it."""
    operate.must_be_said(options, unsafe_local, "stuck redrive")
    act = operate.acting(reason)

    async def acted() -> str:
        from agents.runtime import operator
        from tools.places import home_of
        from topics import RetrySecondPhase

        row = await _one(options, which)
        if row["kind"] == "registration":
            message = RetrySecondPhase(id=which)
            home = home_of(options.settings, row["service"], which)
            work = partial(operator.tell, act=act, actor=which, message=message, partition=home, message_id=str(uuid.uuid4()))
            await operate.write(options, row["service"], work)
        elif row["kind"] == "attempt":
            await operate.write(options, row["service"], partial(operator.ask_again, act=act, number=which))
        else:
            await operate.write(options, row["service"], partial(operator.redrive_actor, act=act, actor=which))
        return str(row["service"])

    service = options.run(acted())
    options.out.block({"id": which, "service": service, "state": "redriven"})
    say(f"the worker of {service} tries it again, at the latest when it starts next")


def skip(
    options: Options,
    which: ID,
    reason: Annotated[str, typer.Option("--reason", help="Why the message is given up; goes into the audit row.")] = "",
    unsafe_local: UNSAFE_LOCAL = False,
) -> None:
    """Give up the head of a suspended actor's queue; what waits behind it is tried next."""
    operate.must_be_said(options, unsafe_local, "stuck skip")
    act = operate.acting(reason)

    async def acted() -> dict[str, Any]:
        from agents.runtime.operator import skip_head

        row = await _one(options, which)
        if "skip" not in row["actions"]:
            raise Failed(f"{row['kind']} {which} cannot be skipped: a decision never flips, so its only action is redrive")
        what = await operate.write(options, row["service"], partial(skip_head, act=act, actor=which))
        return {"id": which, "service": row["service"], "state": "skipped", "skipped": what}

    options.out.block(options.run(acted()))


REASON = Annotated[str, typer.Option("--reason", help="Why; goes into the audit row.")]


def retry(options: Options, which: ID, reason: REASON = "tried again", unsafe_local: UNSAFE_LOCAL = False) -> None:
    """Try the disbursement of a SUSPENDED loan, or the booking of a SUSPENDED collection, again under a new number."""
    _tell(options, which, RETRY, reason, unsafe_local)


def release(options: Options, which: ID, reason: REASON = "", unsafe_local: UNSAFE_LOCAL = False) -> None:
    """Give the money of a SUSPENDED collection back to the borrower."""
    _tell(options, which, RELEASE, reason, unsafe_local)


def fail(options: Options, which: ID, reason: REASON = "", unsafe_local: UNSAFE_LOCAL = False) -> None:
    """Give up the listing of a SUSPENDED loan that was not disbursed: every hold is given back."""
    _tell(options, which, FAIL, reason, unsafe_local)


def _tell(options: Options, which: str, action: str, reason: str, unsafe_local: bool) -> None:
    operate.must_be_said(options, unsafe_local, f"stuck {action}")
    options.out.block(options.run(tell(options, which, action, operate.acting(reason))))


async def waiting(options: Options) -> list[dict[str, Any]]:
    """What waits, service by service."""
    from stores.inspection import refused_rows, spent_attempts, suspended_actors
    from tools.reading import ask, services

    rows: list[dict[str, Any]] = []
    for service in services():
        settings = options.settings
        rows += [_actor(service, row) for row in await ask(settings, service, suspended_actors)]
        rows += [_refused(service, row) for row in await ask(settings, service, refused_rows)]
        rows += [_attempt(service, row) for row in await ask(settings, service, spent_attempts)]
    rows += [thing.row() for thing in await things(options, services())]
    return rows + await _registrations(options)


async def _registrations(options: Options) -> list[dict[str, Any]]:
    from stores.users import stuck_registrations
    from tools.reading import ask

    found = await ask(options.settings, "users", stuck_registrations)
    return [
        _row("users", r.id, "registration", "stuck", f"the second phase of {r.status} is spent", r.changed_ms, ("redrive",), tries=r.round)
        for r in found
    ]


async def _one(options: Options, which: str) -> dict[str, Any]:
    found = [row for row in await waiting(options) if row["id"] == which]
    acted_on = [row for row in found if "redrive" in row["actions"] and row["kind"] != "outbox row"]
    if not acted_on:
        raise Failed(f"nothing is stuck under {which}: `lendbus stuck ls` lists what is")
    if len(acted_on) > 1:
        places = ", ".join(f"{row['kind']} of {row['service']}" for row in acted_on)
        say(f"{which} is stuck in several places ({places}); the first one is taken, run this again for the next")
    return acted_on[0]


async def _shown(options: Options, which: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    from stores.inspection import queue_of
    from tools.reading import ask

    rows = [row for row in await waiting(options) if row["id"] == which]
    if not rows:
        raise Failed(f"nothing is stuck under {which}: `lendbus stuck ls` lists what is")
    actors = [row["service"] for row in rows if row["kind"] == "actor"]
    queued = [(s, row) for s in actors for row in await ask(options.settings, s, partial(queue_of, actor=which, limit=QUEUE_SHOWN_MAX))]
    return rows, [_queued(service, row) for service, row in queued]


def _queued(service: str, row: Any) -> dict[str, Any]:
    from bus.headers import unpack_headers
    from bus.record import Record
    from tools.record_view import as_row

    headers = unpack_headers(row.headers)
    record = Record(row.topic, row.partition, row.offset, row.timestamp_ms, row.appended_ms, row.key, row.value, headers)
    return {"queue_of": row.actor, "service": service, "message_id": row.message_id, **as_row(record)}


def _print_queue(out: Output, queue: list[dict[str, Any]]) -> None:
    columns = (
        Column("message_id", fixed=True),
        Column("type"),
        Column("time"),
        Column("topic"),
        Column("offset", number=True),
        Column("value"),
    )
    if queue:
        out.rows(queue, columns, empty="")


def _actor(service: str, row: Any) -> dict[str, Any]:
    state = "stuck" if row.next_ms is None else "is tried again"
    made = _row(service, row.actor, "actor", state, row.reason, row.since_ms, ("redrive", "skip"), tries=row.tries, next_ms=row.next_ms)
    return {**made, "queued": row.queued, "error": row.error}


def _refused(service: str, row: Any) -> dict[str, Any]:
    made = _row(service, row.actor, "outbox row", "refused", row.refused, row.at_ms, ("redrive", "skip"))
    return {**made, "outbox_id": row.id, "topic": row.topic}


def _attempt(service: str, row: Any) -> dict[str, Any]:
    reason = f"{row.target}: {row.last_error or 'no answer'}"
    return {**_row(service, row.number, "attempt", "spent", reason, row.at_ms, ("redrive",), tries=row.tries), "actor": row.actor}


def _row(
    service: str,
    which: str,
    kind: str,
    state: str,
    reason: str,
    since_ms: int,
    actions: tuple[str, ...],
    *,
    tries: int | None = None,
    next_ms: int | None = None,
) -> dict[str, Any]:
    return {
        "id": which,
        "service": service,
        "kind": kind,
        "state": state,
        "reason": reason,
        "tries": tries,
        "next_try": instant(next_ms),
        "queued": None,
        "since": instant(since_ms),
        "since_ms": since_ms,
        "actions": actions,
    }


COMMANDS = {"ls": ls, "show": show, "redrive": redrive, "skip": skip, "retry": retry, "release": release, "fail": fail}
