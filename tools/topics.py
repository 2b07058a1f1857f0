"""`lendbus topics ls`: the contract, and what stands on each topic of the bus that is here."""

import time
from typing import TYPE_CHECKING, Any

from tools.options import Options
from tools.output import Column, span
from topics import TOPICS, messages_of

if TYPE_CHECKING:
    from bus.log import Bus

COLUMNS = (
    Column("topic", fixed=True),
    Column("owner", spare=True),
    Column("key"),
    Column("partitions", number=True),
    Column("kept"),
    Column("producers", spare=True),
    Column("consumers", spare=True),
    Column("records", number=True),
    Column("last_append"),
    Column("english", spare=True),
)


def ls(options: Options) -> None:
    """Every topic: owner, key, partitions, how long it is kept, who produces and consumes it, how many records there are."""
    from tools.reading import bus_path, exists, reading_bus

    async def counted() -> dict[str, Any]:
        async with reading_bus(options.settings) as bus:
            return {name: await _counts(bus, name) for name in [spec.name for spec in await bus.topics()]}

    counts = options.run(counted()) if exists(bus_path(options.settings)) else {}
    rows = [
        {
            "topic": t.name,
            "owner": t.owner,
            "key": t.key,
            "partitions": t.partitions,
            "kept": span(t.retention_ms),
            "retention_ms": t.retention_ms,
            "producers": list(t.producers),
            "consumers": list(t.consumers),
            "messages": [f"{message.type} {message.version}" for message in messages_of(t.name)],
            **counts.get(t.name, {"records": None, "last_append_ms": None, "last_append": None}),
            "english": t.english,
        }
        for t in TOPICS
    ]
    options.out.rows(rows, COLUMNS, empty="the contract has no topics")


async def _counts(bus: "Bus", topic: str) -> dict[str, Any]:
    """Records that are there (end less start of every partition), and when the bus took the last one."""
    ends = await bus.ends(topic)
    lasts = [
        run[-1].appended_ms for number, (start, end) in ends.items() if end > start and (run := await bus.read(topic, number, end - 1))
    ]
    last_ms = max(lasts, default=None)
    age_ms = None if last_ms is None else max(0, time.time_ns() // 1_000_000 - last_ms)
    said = "-" if last_ms is None else f"{span(age_ms)} ago"
    return {
        "records": sum(end - start for start, end in ends.values()),
        "partitions": len(ends),
        "last_append_ms": last_ms,
        "last_append_age_ms": age_ms,
        "last_append": said,
    }


COMMANDS = {"ls": ls}
