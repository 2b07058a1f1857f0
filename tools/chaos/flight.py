"""Which message a process had in hand when something struck it: the next one of its service's mailbox, else the last one."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from bus.errors import BusError
from stores.inspection import positions
from tools.chaos.plan import BANK, GATEWAY, SERVICES
from tools.output import WrongUse
from tools.reading import MAILBOXES, ask, reading_bus
from tools.record_view import type_of

if TYPE_CHECKING:
    from bus.log import Bus
    from bus.record import Record
    from config.settings import Settings

SHOWN_MAX: Final = 3
UNKNOWN: Final = "unknown"
INSTRUCTIONS: Final = "bank.instructions"


class Hand(NamedTuple):
    """A record, and whether it waits to be handled."""

    record: "Record"
    waits: bool

    def __str__(self) -> str:
        """As people read it."""
        record = self.record
        return f"{'next' if self.waits else 'last'} {type_of(record.headers)} ({record.topic}/{record.partition}@{record.offset})"


async def in_hand(settings: "Settings", target: str) -> str:
    """The message that the target had in hand, as people read it; it is dead or stands still meanwhile.

    A process that may have any service had most likely what waits in some mailbox, else what was handled last.
    """
    if target == GATEWAY:
        return "a request"
    try:
        if target == BANK:
            own = settings.of_bank()
            async with reading_bus(own) as bus:
                found = await _hands(own, bus, BANK, INSTRUCTIONS)
        else:
            async with reading_bus(settings) as bus:
                services = (target,) if target in SERVICES else SERVICES
                found = [hand for service in services for hand in await _hands(settings, bus, service, MAILBOXES[service])]
    except (WrongUse, BusError, OSError):
        return UNKNOWN
    return likeliest(found)


def likeliest(hands: Sequence[Hand]) -> str:
    """Of several mailboxes' messages: those that nobody has handled yet, else the latest one that was."""
    waiting = [hand for hand in hands if hand.waits]
    latest = max(hands, key=lambda hand: hand.record.appended_ms, default=None)
    return ", ".join(map(str, waiting[:SHOWN_MAX])) or (str(latest) if latest else UNKNOWN)


async def _hands(settings: "Settings", bus: "Bus", service: str, topic: str) -> list[Hand]:
    """Of each partition, the record at the store's position, or the one before it."""
    found = []
    for partition, offset in (await ask(settings, service, positions)).items():
        run = await bus.read(topic, partition, offset, 1)
        waits = bool(run)
        if not run and offset > 0:
            run = await bus.read(topic, partition, offset - 1, 1)
        found += [Hand(record, waits) for record in run[:1]]
    return found
