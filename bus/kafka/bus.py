"""Apache Kafka as a bus: `bus.log.Bus` over one cluster that this loop's users share."""

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, ClassVar
from weakref import WeakKeyDictionary

from bus.errors import BusError
from bus.kafka import groups, read, topics
from bus.kafka.address import Address
from bus.kafka.append import Appender
from bus.kafka.cluster import Cluster
from bus.kafka.follow import follow
from bus.kafka.news import News
from bus.log import READ_BYTES_MAX, READ_LIMIT, GroupRow, TopicSpec
from bus.record import Fence, Outgoing, Record


class Shared:
    """What all buses of a loop on one address have together."""

    _all: ClassVar[WeakKeyDictionary[Cluster, "Shared"]] = WeakKeyDictionary()

    def __init__(self, cluster: Cluster) -> None:
        self.appender = Appender(cluster)
        self.news = News(cluster)
        cluster.at_close(self.appender.close)
        cluster.at_close(self.news.close)

    @classmethod
    def of(cls, cluster: Cluster) -> "Shared":
        """The one of this cluster."""
        if (shared := cls._all.get(cluster)) is None:
            shared = cls._all[cluster] = cls(cluster)
        return shared


class KafkaBus:
    """See `bus.log.Bus`."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._cluster: Cluster | None = None
        self._opening = asyncio.Lock()
        self._heard: WeakKeyDictionary[asyncio.Task[Any], int] = WeakKeyDictionary()

    @property
    def cluster(self) -> Cluster:
        """The open cluster. Raises BusError before `open` and after `close`."""
        if self._cluster is None:
            raise BusError(f"the bus {self.address} is not open")
        return self._cluster

    async def open(self) -> None:
        """Connect, or share what this loop has open of it already."""
        async with self._opening:
            if self._cluster is None:
                cluster = Cluster.shared(self.address)
                await cluster.open()
                self._cluster = cluster

    async def close(self) -> None:
        """Let go; the last one closes the connections."""
        if self._cluster is not None:
            cluster, self._cluster = self._cluster, None
            await cluster.close()

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        """Append, durably, together with whatever else this loop appends to the same partitions just now."""
        shared = Shared.of(self.cluster)
        if not records:
            return []
        try:
            return await shared.appender.append(list(records), fence)
        finally:
            shared.news.poke()

    async def read(self, topic: str, partition: int, offset: int, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES_MAX) -> list[Record]:
        """A run of committed records from `offset` on."""
        return await read.read(self.cluster, topic, partition, offset, limit, max_bytes)

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """(start, end) of each partition."""
        return await read.ends(self.cluster, topic)

    async def offset_at(self, topic: str, partition: int, instant_ms: int) -> int | None:
        """The first offset appended at or after the instant."""
        return await read.offset_at(self.cluster, topic, partition, instant_ms)

    async def topics(self) -> list[TopicSpec]:
        """All topics of the namespace, by name."""
        return await topics.topics(self.cluster)

    async def declare(self, topics_: Sequence[TopicSpec]) -> None:
        """Make what is missing, renew the settings of the rest."""
        await topics.declare(self.cluster, topics_)
        for spec in topics_:
            Shared.of(self.cluster).appender.limits.forget(spec.name)

    async def declare_group(self, group: str, topics_: Sequence[str]) -> None:
        """Nothing: Kafka's retention waits for nobody, and a group is known by its members and offsets."""

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """What the group has committed."""
        return await groups.offsets(self.cluster, group)

    async def noted(self, group: str) -> dict[tuple[str, int], tuple[int, str]]:
        """What the group has committed, each with the id of the store that stands beside it; empty for none."""
        return await groups.noted(self.cluster, group)

    async def lag(self, group: str, topics_: Sequence[str]) -> dict[tuple[str, int], int]:
        """How far the group's offsets are behind the ends."""
        return await groups.lag(self.cluster, group, topics_)

    async def groups(self) -> list[GroupRow]:
        """All groups of the namespace, by name."""
        return await groups.groups(self.cluster)

    async def wait(self, timeout_s: float) -> None:
        """Return when anything was appended since this task's last `wait`; the first one returns at once."""
        task = asyncio.current_task()
        assert task is not None, "wait is awaited in a task"
        self._heard[task] = await Shared.of(self.cluster).news.changed(self._heard.get(task, -1), timeout_s)

    def follow(self, topics_: Sequence[str], start: Mapping[tuple[str, int], int] | None = None) -> AsyncGenerator[list[Record], None]:
        """Runs as they are appended."""
        return follow(self.cluster, topics_, start)

    async def incarnation(self) -> str:
        """The cluster's id: a topic made anew in it is found by the record before a position."""
        return await self.cluster.patiently("asking for the cluster's id", self.cluster.cluster_id)

    async def prune(self, now_ms: int, limit: int = READ_LIMIT) -> int:
        """Nothing is left to do: the broker does it."""
        return 0

    def __repr__(self) -> str:
        return f"<KafkaBus {self.address}>"
