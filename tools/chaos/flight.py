"""Which message a process had in hand when something struck it: the next one of its service's mailbox, else the last one."""

from typing import TYPE_CHECKING, Final

from bus.errors import BusError
from stores.inspection import positions
from tools.chaos.plan import BANK, GATEWAY, SERVICES
from tools.output import WrongUse
from tools.reading import MAILBOXES, ask, reading_bus
from tools.record_view import type_of

if TYPE_CHECKING:
    from bus.log import Bus
    from config.settings import Settings

UNKNOWN: Final = "unknown"
INSTRUCTIONS: Final = "bank.instructions"


async def in_hand(settings: "Settings", target: str) -> str:
    """The messages that the target had in hand, as people read them; it is dead or stands still meanwhile."""
    if target == GATEWAY:
        return "a request"
    services = (target,) if target in SERVICES else ()
    try:
        if target == BANK:
            own = settings.of_bank()
            async with reading_bus(own) as bus:
                return await _next(own, bus, BANK, INSTRUCTIONS)
        async with reading_bus(settings) as bus:
            found = [await _next(settings, bus, service, MAILBOXES[service]) for service in services or SERVICES]
    except (WrongUse, BusError, OSError):
        return UNKNOWN
    return "; ".join(said for said in found if said != UNKNOWN) or UNKNOWN


async def _next(settings: "Settings", bus: "Bus", service: str, topic: str) -> str:
    """Of each partition that has moved, the record at the store's position, or the one before it."""
    found = []
    for partition, offset in (await ask(settings, service, positions)).items():
        run = await bus.read(topic, partition, offset, 1)
        what = "next" if run else "last"
        if not run and offset > 0:
            run = await bus.read(topic, partition, offset - 1, 1)
        if run:
            found.append(f"{what} {type_of(run[0].headers)} ({topic}/{partition}@{run[0].offset})")
    return ", ".join(found[:3]) or UNKNOWN
