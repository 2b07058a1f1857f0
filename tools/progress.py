"""Asking stores and bus how far every group is on every partition (`tools/standing.py` says what follows from it)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from tools.output import WrongUse
from tools.standing import Standing

if TYPE_CHECKING:
    from bus.log import Bus, GroupRow
    from config.settings import Settings
    from stores.progress import Owner, Reached

TopicPartition = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Told:
    """What the store of one service says."""

    reached: "Mapping[int, Reached]" = field(default_factory=dict)
    owners: "Mapping[int, Owner]" = field(default_factory=dict)
    unreadable: str | None = None


@dataclass(frozen=True, slots=True)
class Asked:
    """What everybody says, at about the same time."""

    mailboxes: Mapping[str, str]  # service → topic
    stores: Mapping[str, Told]
    groups: "Mapping[str, GroupRow]"
    offsets: Mapping[str, Mapping[TopicPartition, int]]
    ends: Mapping[TopicPartition, tuple[int, int]]
    incarnation: str

    def standings(self) -> Iterator[Standing]:
        """Every partition that a group has a position or an offset on, and every one of a service's mailbox."""
        for group, offsets in self.offsets.items():
            mailbox, told = self.mailboxes.get(group), self.stores.get(group, Told())
            places = {*offsets, *((mailbox, number) for number in (*told.reached, *told.owners) if mailbox)}
            places |= {place for place in self.ends if place[0] == mailbox}
            for topic, partition in sorted(places):
                yield self._standing(group, topic, partition, told if topic == mailbox else None)

    def _standing(self, group: str, topic: str, partition: int, told: Told | None) -> Standing:
        reached = told.reached.get(partition) if told else None
        return Standing(
            group,
            topic,
            partition,
            is_service=told is not None,
            position=reached.next_offset if reached else None,
            committed=self.offsets[group].get((topic, partition)),
            ends=self.ends.get((topic, partition)),
            owner=told.owners.get(partition) if told else None,
            member=_member(self.groups.get(group), (topic, partition)),
            other_log=reached is not None and reached.incarnation != self.incarnation,
            unreadable=told.unreadable if told else None,
        )


async def asked(settings: "Settings", bus: "Bus") -> Asked:
    """Ask everybody; stores first, so that nobody who works on meanwhile seems to be beyond an end."""
    from tools.reading import MAILBOXES

    stores = {service: await _told(settings, service) for service in sorted(MAILBOXES)}
    groups = {row.group: row for row in await bus.groups()}
    offsets = {group: await bus.offsets(group) for group in sorted(groups.keys() | MAILBOXES.keys())}
    wanted = {*MAILBOXES.values(), *(topic for each in offsets.values() for topic, _ in each)}
    ends = {
        (spec.name, number): pair
        for spec in await bus.topics()
        if spec.name in wanted
        for number, pair in (await bus.ends(spec.name)).items()
    }
    return Asked(MAILBOXES, stores, groups, offsets, ends, await bus.incarnation())


async def since(bus: "Bus", standing: Standing) -> Standing:
    """With the instant since when its first unhandled record waits; without one when there are no records at all."""
    if standing.first is None:
        return standing
    run = await bus.read(standing.topic, standing.partition, standing.first, 1)
    return replace(standing, waits_since_ms=run[0].appended_ms) if run else replace(standing, waits=False)


async def _told(settings: "Settings", service: str) -> Told:
    from stores.progress import owners, reached
    from tools.reading import ask

    try:
        return Told(await ask(settings, service, reached), await ask(settings, service, owners))
    except WrongUse as exc:
        return Told(unreadable=str(exc))


def _member(row: "GroupRow | None", place: TopicPartition) -> str | None:
    """Who has the partition now, as the bus knows it: on Kafka a member by its assignment, on the embedded bus the group's one owner."""
    if row is None:
        return None
    if row.members:
        holder = next((member for member in row.members if place in member.partitions), None)
        if holder is None:
            return None
        return f"pid {holder.pid} on {holder.host}" if holder.pid is not None else f"{holder.client} on {holder.host}"
    return f"pid {row.pid} on {row.host}" if row.pid is not None and row.alive else None
