"""Groups as the broker knows them: their offsets, their members, how far behind they are.

The broker does not tell a group's generation, so our consumer writes it beside every offset that it commits.
"""

import re
from collections.abc import Sequence
from typing import Any

from aiokafka.coordinator.protocol import ConsumerProtocol
from aiokafka.errors import GroupIdNotFound
from aiokafka.protocol.admin import DescribeGroupsRequest, ListGroupsRequest
from aiokafka.protocol.commit import OffsetFetchRequest

from bus.kafka import read
from bus.kafka.cluster import Cluster
from bus.kafka.protocol import check
from bus.log import GroupMember, GroupRow

OURS = re.compile(r"lendbus@(.+)/(\d+)")
NOTE = re.compile(r"epoch (\d+)(?: store (\S+))?")
DEAD = "Dead"


def epoch_note(epoch: int, store: str = "") -> str:
    """What is written beside a committed offset: the generation, and the id of the store whose position it is."""
    return f"epoch {epoch} store {store}" if store else f"epoch {epoch}"


async def committed(cluster: Cluster, group: str) -> dict[tuple[str, int], tuple[int, str]]:
    """Offset and note of every partition for which the group has committed anything. Raises Kafka's errors."""
    node = await cluster.coordinator(group)
    answer = await cluster.ask(OffsetFetchRequest(cluster.address.outside(group), None), node)
    check(answer.error_code)
    found = {}
    for outside, partitions in answer.topics:
        topic = cluster.address.inside(outside)
        for partition, offset, note, code in partitions:
            check(code)
            if topic is not None and offset >= 0:
                found[topic, partition] = (offset, note or "")
    return found


async def offsets(cluster: Cluster, group: str) -> dict[tuple[str, int], int]:
    """See `Bus.offsets`."""
    found = await cluster.patiently(f"looking for the offsets of {group}", lambda: committed(cluster, group))
    return {place: found[place][0] for place in sorted(found)}


async def noted(cluster: Cluster, group: str) -> dict[tuple[str, int], tuple[int, str]]:
    """The group's offsets, each with the id of the store that stands beside it; empty for none. Raises BusAway."""
    found = await cluster.patiently(f"looking for the offsets of {group}", lambda: committed(cluster, group))
    return {place: (at, said[2] or "" if (said := NOTE.fullmatch(note)) else "") for place, (at, note) in found.items()}


async def lag(cluster: Cluster, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
    """See `Bus.lag`: offsets between the two, of which transaction markers are some; where nothing else is left it is 0."""
    done = await offsets(cluster, group)
    found = {}
    for topic in topics:
        for number, (start, end) in (await read.ends(cluster, topic)).items():
            at = min(end, max(start, done.get((topic, number), start)))
            is_read = at == end or not await read.read(cluster, topic, number, at, 1, 1)
            found[topic, number] = 0 if is_read else end - at
    return found


async def groups(cluster: Cluster) -> list[GroupRow]:
    """See `Bus.groups`."""
    return await cluster.patiently("looking at the groups", lambda: _groups(cluster))


async def _groups(cluster: Cluster) -> list[GroupRow]:
    names: set[str] = set()
    for node in cluster.nodes():
        answer = await cluster.ask(ListGroupsRequest(), node)
        check(answer.error_code)
        names |= {name for outside, *_ in answer.groups if (name := cluster.address.inside(outside)) is not None}
    rows = [await _row(cluster, name) for name in sorted(names)]
    return [row for row in rows if row is not None]


async def _row(cluster: Cluster, group: str) -> GroupRow | None:
    node = await cluster.coordinator(group)
    answer = await cluster.ask(DescribeGroupsRequest([cluster.address.outside(group)]), node)
    [(code, _, state, _, _, found, *_)] = answer.groups
    if code == GroupIdNotFound.errno or state == DEAD:
        return None
    check(code)
    members = tuple(sorted(_member(cluster, each) for each in found))
    notes = [int(said[1]) for _, note in (await committed(cluster, group)).values() if (said := NOTE.fullmatch(note))]
    owner = next((member for member in members if member.partitions), None)
    standby = tuple(member.pid for member in members if not member.partitions and member.pid is not None)
    return GroupRow(
        group,
        max(notes, default=0),
        owner.pid if owner else None,
        owner.host if owner else None,
        None,
        owner is not None,
        standby,
        members,
    )


def _member(cluster: Cluster, described: Any) -> GroupMember:
    _, client, address, _, assignment, *_ = described
    ours = OURS.fullmatch(client)
    assigned = ConsumerProtocol.ASSIGNMENT.decode(assignment).assignment if assignment else []
    partitions = tuple(
        sorted(
            (topic, number) for outside, numbers in assigned if (topic := cluster.address.inside(outside)) is not None for number in numbers
        )
    )
    return GroupMember(client, ours[1] if ours else address.lstrip("/"), int(ours[2]) if ours else None, partitions)
