"""`lendbus dlq`: records that nobody could read. They suspend nobody; a mended copy may be sent, or one is given up."""

import sys
import uuid
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from tools import operate
from tools.operate import UNSAFE_LOCAL
from tools.options import Options
from tools.output import Column, Failed, WrongUse, instant, say

COLUMNS = (
    Column("id", fixed=True),
    Column("service"),
    Column("at", spare=True),
    Column("where"),
    Column("reason"),
    Column("detail", spare=True),
    Column("attempts", number=True, spare=True),
    Column("state"),
)
ID = Annotated[str, typer.Argument(help="The dead letter's id.")]


def ls(options: Options, every: Annotated[bool, typer.Option("--all", help="Also what was redriven or skipped.")] = False) -> None:
    """Every dead letter that waits: where it stood and why nobody could read it."""
    rows = options.run(_listed(options, every=every))
    options.out.rows(rows, COLUMNS, empty="no dead letters")


def show(options: Options, which: ID) -> None:
    """One dead letter, with the bytes as they came; null, empty and missing look different."""
    service, row = options.run(find(options, which))
    content = _content(row)
    if options.out.is_table:
        from bus.headers import unpack_headers
        from tools.record_view import headers_line

        content["headers"] = headers_line(unpack_headers(row.headers))
    options.out.block({**_row(service, row), **content})


def redrive(
    options: Options,
    which: ID,
    value: Annotated[str | None, typer.Option("--value", metavar="FILE", help="The mended value; - reads standard input.")] = None,
    key: Annotated[str | None, typer.Option("--key", metavar="TEXT", help="The mended key.")] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why; goes into the audit row.")] = "redriven",
    unsafe_local: UNSAFE_LOCAL = False,
) -> None:
    """Send a copy, mended where something is given, to its topic under a new message id; everything else stays as it came."""
    operate.must_be_said(options, unsafe_local, "dlq redrive")
    from agents.runtime.operator import Mended, redrive_letter

    act = operate.acting(reason)
    mended = Mended(None if value is None else _read(value), None if key is None else key.encode())
    new_id = str(uuid.uuid4())

    async def acted() -> str:
        service, _ = await find(options, which)
        await operate.write(options, service, partial(redrive_letter, act=act, which=which, mended=mended, new_id=new_id))
        return service

    service = options.run(acted())
    options.out.block({"id": which, "service": service, "state": "redriven", "redriven_as": new_id})
    say(f"the copy is in the outbox of {service}; its worker sends it, at the latest when it starts next: lendbus trace {new_id}")


def skip(
    options: Options,
    which: ID,
    reason: Annotated[str, typer.Option("--reason", help="Why nobody will handle it; goes into the audit row.")] = "",
    unsafe_local: UNSAFE_LOCAL = False,
) -> None:
    """Nobody will handle this record; who said so is written down."""
    operate.must_be_said(options, unsafe_local, "dlq skip")
    from agents.runtime.operator import skip_letter

    act = operate.acting(reason)

    async def acted() -> str:
        service, _ = await find(options, which)
        await operate.write(options, service, partial(skip_letter, act=act, which=which))
        return service

    options.out.block({"id": which, "service": options.run(acted()), "state": "skipped"})


async def find(options: Options, which: str) -> tuple[str, Any]:
    """The service that has this dead letter, and its row. Raises Failed when none has."""
    from stores.inspection import dead_letter_by_id
    from tools.reading import ask, services

    for service in services():
        if (row := await ask(options.settings, service, partial(dead_letter_by_id, which=which))) is not None:
            return service, row
    raise Failed(f"no dead letter {which}: `lendbus dlq ls --all` lists them")


async def _listed(options: Options, *, every: bool) -> list[dict[str, Any]]:
    from stores.inspection import dead_letters
    from tools.reading import ask, services

    return [
        _row(service, row) for service in services() for row in await ask(options.settings, service, partial(dead_letters, every=every))
    ]


def _row(service: str, row: Any) -> dict[str, Any]:
    return {
        "id": row.id,
        "service": service,
        "at": instant(row.at_ms),
        "at_ms": row.at_ms,
        "where": f"{row.topic}/{row.partition}@{row.offset}",
        "reason": row.reason,
        "detail": row.detail,
        "attempts": row.attempts,
        "state": row.state,
        "redriven_as": row.redriven_as,
    }


def _content(row: Any) -> dict[str, Any]:
    from bus.headers import unpack_headers
    from bus.record import Record
    from tools.record_view import as_row

    headers = unpack_headers(row.headers)
    shown = as_row(Record(row.topic, row.partition, row.offset, row.timestamp_ms, row.appended_ms, row.key, row.value, headers))
    return {name: shown[name] for name in ("timestamp_ms", "time", "type", "key_kind", "key", "headers", "value_kind", "value")}


def _read(name: str) -> bytes:
    try:
        return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()
    except OSError as exc:
        raise WrongUse(f"--value {name}: {exc.strerror}; name a file that holds the mended value, or - for standard input") from None


COMMANDS = {"ls": ls, "show": show, "redrive": redrive, "skip": skip}
