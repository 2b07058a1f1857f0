"""`lendbus groups`: who consumes: members, who waits, who owns the partitions in the store, how much lies before them."""

from typing import TYPE_CHECKING, Any, Final

from tools.options import Options
from tools.output import Column, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bus.log import GroupRow
    from tools.standing import Standing

COLUMNS: Final = (
    Column("group", fixed=True),
    Column("state"),
    Column("members"),
    Column("standby", spare=True),
    Column("since", spare=True),
    Column("generation", number=True, spare=True),
    Column("partitions", number=True),
    Column("lag", number=True),
    Column("unknown", number=True),
    Column("note"),
)


def command(options: Options) -> None:
    """Every group: whether somebody lives in it, its members and standbys, its partitions, and their lag in sum."""
    rows = options.run(_rows(options))
    options.out.rows(rows, COLUMNS, empty="no group has consumed anything yet")


async def _rows(options: Options) -> list[dict[str, Any]]:
    from tools.progress import asked
    from tools.reading import reading_bus

    async with reading_bus(options.settings) as bus:
        told = await asked(options.settings, bus)
    standings = list(told.standings())
    return [row(group, told.groups.get(group), [each for each in standings if each.group == group]) for group in told.offsets]


def row(group: str, known: "GroupRow | None", standings: "Sequence[Standing]") -> dict[str, Any]:
    """As JSON and tables show it; `lag` sums what is known (null: nothing is), `unknown` counts the partitions of which it is not."""
    lags = [standing.lag for standing in standings]
    return {
        "group": group,
        "state": _state(known),
        "members": _members(known),
        "standby": list(known.standby) if known else [],
        "since": instant(known.since_ms) if known else None,
        "generation": known.epoch if known else None,
        "topics": sorted({standing.topic for standing in standings}),
        "partitions": len(standings),
        "lag": sum(known_lags) if (known_lags := [lag for lag in lags if lag is not None]) else None,
        "unknown": lags.count(None),
        "owners": [
            {"topic": s.topic, "partition": s.partition, "epoch": s.owner.epoch, "pid": s.owner.pid, "since": instant(s.owner.since_ms)}
            for s in standings
            if s.owner is not None
        ],
        "note": "; ".join(dict.fromkeys(note for standing in standings for note in standing.notes())) or None,
    }


def _state(known: "GroupRow | None") -> str:
    if known is None:
        return "never joined"
    if known.alive:
        return "lives"
    return "waits" if known.members or known.standby else "has nobody"


def _members(known: "GroupRow | None") -> list[str]:
    if known is None:
        return []
    if known.members:
        return [f"{f'pid {m.pid}' if m.pid is not None else m.client} on {m.host} ({len(m.partitions)})" for m in known.members]
    return [f"pid {known.pid} on {known.host}"] if known.pid is not None else []
