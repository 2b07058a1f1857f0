"""What a member of a group must not work through: a log that is another one, a topic that has grown, a group of another store."""

from collections.abc import Callable, Mapping

from aiokafka.cluster import ClusterMetadata
from faust.types import TP

from bus.errors import BusError, LogMadeAnew
from bus.kafka.address import Address
from bus.kafka.lane import Lane
from bus.kafka.limits import grown


def log_made_anew(lanes: Mapping[TP, Lane], highwater: Callable[[TP], int]) -> LogMadeAnew | None:
    """The first log that ends before what was read of it."""
    for tp, lane in lanes.items():
        end = highwater(tp)
        if 0 < end < lane.taken or (end == 0 and lane.taken and lane.highwater):
            return LogMadeAnew(f"{tp.topic}/{tp.partition} ends at {end}, but was read up to {lane.taken}: its log is another one")
        lane.highwater = max(end, lane.highwater)
    return None


def topic_grown(counts: Mapping[str, int], cluster: ClusterMetadata, address: Address) -> BusError | None:
    """The first topic that has another number of partitions than when it was subscribed to, as far as is known now."""
    for topic, had in counts.items():
        now = cluster.partitions_for_topic(address.outside(topic))
        if now and len(now) != had:
            return BusError(grown(topic, had, len(now)))
    return None


def check_store(group: str, mine: str, noted: set[str]) -> None:
    """Raise BusError when offsets of the group were committed for another store: both would think that they are alone.

    `mine` empty: nobody says which store it is; an empty note was written by nobody who does.
    """
    if not mine or not (others := noted - {mine, ""}):
        return
    raise BusError(
        f"group {group!r} works on another store ({', '.join(sorted(others))}) than this process ({mine}): two stores in one group would "
        "each handle a part of the messages and confirm what the other has refused. Name the store that the others have (--db), "
        "or another namespace (kafka://HOST:PORT/NAMESPACE) for a platform of its own; if the old store is gone for good, delete the group"
    )
