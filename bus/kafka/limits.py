"""How large a record and a batch may be, by topic: what the topic says, read at its first use and after a refusal.

A topic's `max.message.bytes` counts a whole batch with its frame. `TopicSpec.max_bytes` counts key, value and headers of one record, so
the frame's room is added when a topic is declared, and taken away when its settings are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bus.kafka.cluster import Cluster
from bus.log import RECORD_BYTES_MAX

FRAME_BYTES = 1024  # of a batch with one record: its head, the record's lengths, the header with its own time
SETTING = "max.message.bytes"


@dataclass(frozen=True, slots=True)
class Limit:
    """A topic's partitions and sizes."""

    partitions: int
    batch_bytes: int

    @property
    def record_bytes(self) -> int:
        """Key, value and headers of one record."""
        return max(1, self.batch_bytes - FRAME_BYTES)


class Limits:
    """What is known of topics; forgotten again after a refusal."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, Limit] = {}

    async def of(self, topics: Iterable[str]) -> dict[str, Limit | None]:
        """The limits of topics; None for one that is not there. Raises BusAway."""
        wanted = dict.fromkeys(topics)
        if missing := [topic for topic in wanted if topic not in self._known]:
            await self._cluster.patiently("looking at the topics", self._cluster.refresh)
            counts = {topic: await self._cluster.partitions(topic) for topic in missing}
            there = [topic for topic, count in counts.items() if count is not None]
            configs = await self._cluster.patiently("reading the limits of topics", lambda: self._cluster.topic_configs(there))
            for topic in there:
                count = counts[topic]
                assert count is not None, "it is there"
                said = configs.get(topic, {}).get(SETTING)
                self._known[topic] = Limit(count, RECORD_BYTES_MAX if said is None else int(said))  # not readable: the default
        return {topic: self._known.get(topic) for topic in wanted}

    def known(self, topic: str) -> Limit:
        """The limit of a topic that `of` has found."""
        return self._known[topic]

    def forget(self, topic: str) -> None:
        """Ask again at the next use."""
        self._known.pop(topic, None)
