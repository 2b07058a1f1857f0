"""`lendbus lag`: for every partition of every group, how much is not handled yet and for how long it has waited."""

import time
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from tools.options import Options
from tools.output import Column, instant, span

if TYPE_CHECKING:
    from tools.standing import Standing

COLUMNS: Final = (
    Column("group", fixed=True),
    Column("topic", fixed=True),
    Column("partition", number=True),
    Column("position", number=True),
    Column("log_end", number=True),
    Column("lag", number=True),
    Column("behind"),
    Column("member", spare=True),
    Column("epoch", number=True, spare=True),
    Column("note"),
)
ONLY = Annotated[bool, typer.Option("--only-with-lag", help="Leave out who has handled everything; who is unknown stays.")]


def command(options: Options, only_with_lag: ONLY = False) -> None:
    """Every partition of every group: position in the store, the log's end, what lies between, since when the first of it waits."""
    found = options.run(_found(options))
    now_ms = time.time_ns() // 1_000_000
    counts = "records" if options.settings.bus_kind == "sqlite" else "offsets"
    rows = [row(standing, now_ms, counts) for standing in found if not only_with_lag or standing.lag != 0]
    options.out.rows(rows, COLUMNS, empty="nobody is behind" if found else "no group has consumed anything yet")


async def _found(options: Options) -> "list[Standing]":
    from tools.progress import asked, since
    from tools.reading import reading_bus

    async with reading_bus(options.settings) as bus:
        return [await since(bus, standing) for standing in (await asked(options.settings, bus)).standings()]


def row(standing: "Standing", now_ms: int, counts: str) -> dict[str, Any]:
    """As JSON and tables show it; `lag_counts` says what `lag` is a number of: offsets have holes on Kafka, records have none."""
    behind_ms = standing.behind_ms(now_ms)
    start, end = standing.ends or (None, None)
    owner = standing.owner
    return {
        "group": standing.group,
        "topic": standing.topic,
        "partition": standing.partition,
        "position": standing.next_offset,
        "position_of": "store" if standing.is_service else "group",
        "committed": standing.committed,
        "log_start": start,
        "log_end": end,
        "lag": standing.lag,
        "lag_counts": counts,
        "behind": span(behind_ms),
        "behind_ms": behind_ms,
        "member": standing.member,
        "epoch": owner.epoch if owner else None,
        "owner_pid": owner.pid if owner else None,
        "owner_since": instant(owner.since_ms) if owner else None,
        "note": "; ".join(standing.notes()) or None,
    }
