"""The bus as its users see it: relay, gateway and tools speak this, whichever transport is behind it."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from bus.record import Fence, Outgoing, Record

DAY_MS = 24 * 3600 * 1000
RECORD_BYTES_MAX = 1024 * 1024  # key, value and headers together, unless the topic says otherwise
READ_LIMIT = 500  # records of one run
READ_BYTES_MAX = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """What a topic shall be. The number of partitions is fixed for life; the rest may be declared anew."""

    name: str
    partitions: int = 1
    retention_ms: int | None = 7 * DAY_MS  # by time of appending; None keeps for ever
    max_bytes: int = RECORD_BYTES_MAX


class GroupMember(NamedTuple):
    """A member of a group: what it calls itself, where it runs (no pid: it is none of ours), and what is assigned to it."""

    client: str
    host: str
    pid: int | None
    partitions: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class GroupRow:
    """A group as it stands: who is its active member, since when, and who waits to take over.

    On Kafka several members may be active: `pid` and `host` are the first's, `standby` are those without a partition, `members` are
    all of them, `since_ms` is unknown, `epoch` is the generation that last committed an offset.
    """

    group: str
    epoch: int
    pid: int | None
    host: str | None
    since_ms: int | None
    alive: bool
    standby: tuple[int, ...] = ()  # pids
    members: tuple[GroupMember, ...] = ()


class Bus(Protocol):
    """A durable log of topics. Every method may raise BusAway: try again; nothing was written then, but for `append` on Kafka.

    One object belongs to one event loop.
    """

    async def open(self) -> None:
        """Be ready; repeated calls do nothing."""

    async def close(self) -> None:
        """Let go of everything; the object is not used again."""

    async def append(self, records: Sequence[Outgoing], *, fence: Fence | None = None) -> list[tuple[int, int]]:
        """Append the records; (partition, offset) of each, in order. Durable when it returns.

        Raises LostLease when the fence's epoch is over, RecordRefused when a record can never be appended: nothing was written then,
        if it could be seen beforehand (unknown topic, wrong partition, too large). The embedded bus writes all or nothing; on Kafka,
        after BusAway or a refusal by the broker, part of the call may be in the log, of each partition the first records.
        """

    async def read(self, topic: str, partition: int, offset: int, limit: int = READ_LIMIT, max_bytes: int = READ_BYTES_MAX) -> list[Record]:
        """The records from `offset` on, at least one if there is any; an offset that retention took begins at the start."""

    async def ends(self, topic: str) -> dict[int, tuple[int, int]]:
        """(start, end) of each partition: the first offset that is left, and the one the next record gets. Neither goes back.

        On Kafka offsets have holes (transaction markers, deleted records): compare them, never count them.
        """

    async def offset_at(self, topic: str, partition: int, instant_ms: int) -> int | None:
        """The first offset appended at or after the instant; None when there is none."""

    async def topics(self) -> list[TopicSpec]:
        """All topics, by name."""

    async def declare(self, topics: Sequence[TopicSpec]) -> None:
        """Make what is missing; raises BusError when a topic exists with another number of partitions."""

    async def declare_group(self, group: str, topics: Sequence[str]) -> None:
        """Say which topics a group consumes, so that nothing is pruned before it has read it."""

    async def offsets(self, group: str) -> dict[tuple[str, int], int]:
        """The group's offsets: the next record to be read, for partitions where anything was committed."""

    async def lag(self, group: str, topics: Sequence[str]) -> dict[tuple[str, int], int]:
        """How many records of each partition the group has not committed yet."""

    async def groups(self) -> list[GroupRow]:
        """All groups, by name."""

    async def wait(self, timeout_s: float) -> None:
        """Return when anything was appended since this task's last `wait`, by any process, else after `timeout_s`."""

    def follow(self, topics: Sequence[str], start: Mapping[tuple[str, int], int] | None = None) -> AsyncGenerator[list[Record], None]:
        """Runs of records as they are appended, for ever, without a group; of a partition in order.

        Each partition begins at its offset in `start`, else at its present end. While the bus is away it waits and goes on where it was;
        what retention took meanwhile is passed over, and a log made anew is followed from its start. Close it (`aclose`) when done.
        """

    async def incarnation(self) -> str:
        """The id of this log, made once with it: positions of another log mean nothing here."""

    async def prune(self, now_ms: int, limit: int = READ_LIMIT) -> int:
        """Take away at most `limit` records past their topic's retention; how many went. Call again until it is 0."""
