"""Where to start reading a partition: the position in the store, unless the log is not the one it speaks of (DESIGN 1)."""

from dataclasses import dataclass

from agents.runtime.envelope import MESSAGE_ID
from agents.runtime.position import Position
from bus.log import Bus
from bus.record import Record


@dataclass(frozen=True, slots=True)
class Start:
    """The offset to read from, and what a person should know about it, if anything."""

    offset: int
    made_anew: bool = False
    skipped: int = 0
    note: str | None = None


async def where_to_start(bus: Bus, topic: str, partition: int, known: Position | None, incarnation: str) -> Start:
    """Decide by the store's position, the log's ends and the record before the position."""
    first, end = (await bus.ends(topic)).get(partition, (0, 0))
    if known is None:
        return Start(first)
    if known.incarnation != incarnation:
        return Start(first, made_anew=True, note=f"{topic}/{partition} is another log than the position speaks of: starting at {first}")
    if known.next_offset > end:
        return Start(
            first, made_anew=True, note=f"{topic}/{partition} ends at {end}, before position {known.next_offset}: starting at {first}"
        )
    if known.last_offset is not None and first <= known.last_offset:
        found = await bus.read(topic, partition, known.last_offset, limit=1)
        if found and found[0].offset == known.last_offset and not _same(found[0], known):
            return Start(first, made_anew=True, note=f"{topic}/{partition} holds another record before the position: starting at {first}")
    if known.next_offset < first:
        skipped = first - known.next_offset
        return Start(first, skipped=skipped, note=f"{topic}/{partition}: retention took {skipped} offsets that were never handled")
    return Start(known.next_offset)


def _same(record: Record, known: Position) -> bool:
    ids = [value for name, value in record.headers if name == MESSAGE_ID]
    named = known.last_message_id is None or ids == [known.last_message_id.encode()]
    return named and record.appended_ms == known.last_appended_ms
