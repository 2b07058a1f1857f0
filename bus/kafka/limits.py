"""How large a record and a batch may be, by topic: what the topic says, read at its first use and after a refusal.

A topic's `max.message.bytes` counts a whole batch with its frame. `TopicSpec.max_bytes` counts key, value and headers of one record, so
the frame's room is added when a topic is declared, and taken away when its settings are read.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from bus.errors import BusAway
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


def grown(topic: str, had: int, has: int) -> str:
    """What is wrong with a topic whose partitions are not what they were, and what to do."""
    return (
        f"topic {topic!r} has {has} partitions now and had {had}: their number is for life, for it says where a key's messages are. "
        "Stop the platform, and make the topic anew (what is in the stores stays; `lendbus topics describe` compares all)"
    )


class Limits:
    """What is known of topics; forgotten again after a refusal."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._known: dict[str, Limit] = {}
        self._counts: dict[str, int] = {}  # never forgotten: a key's partition is for life

    async def of(self, topics: Iterable[str]) -> dict[str, Limit | None]:
        """The limits of topics; None for one that is not there. Raises BusAway, also for a topic that somebody has given more partitions.

        Its keys would go where nobody who read before looks for them, and an actor's messages would overtake each other.
        """
        wanted = dict.fromkeys(topics)
        if missing := [topic for topic in wanted if topic not in self._known]:
            await self._cluster.patiently("looking at the topics", self._cluster.refresh)
            counts = {topic: await self._cluster.partitions(topic) for topic in missing}
            there = [topic for topic, count in counts.items() if count is not None]
            configs = await self._cluster.patiently("reading the limits of topics", lambda: self._cluster.topic_configs(there))
            for topic in there:
                count = counts[topic]
                assert count is not None, "it is there"
                if (had := self._counts.setdefault(topic, count)) != count:
                    raise BusAway(grown(topic, had, count))
                said = configs.get(topic, {}).get(SETTING)
                self._known[topic] = Limit(count, RECORD_BYTES_MAX if said is None else int(said))  # not readable: the default
        return {topic: self._known.get(topic) for topic in wanted}

    def known(self, topic: str) -> Limit:
        """The limit of a topic that `of` has found."""
        return self._known[topic]

    def forget(self, topic: str) -> None:
        """Ask again at the next use."""
        self._known.pop(topic, None)
