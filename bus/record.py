"""What travels on a bus: a record as it was read, and one that is to be appended. Both transports speak these."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from bus.headers import Headers, PackedHeaders, pack_headers, unpack_headers


class Record(NamedTuple):
    """One record as the log holds it. Null, empty and missing are three things."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # the record's own, whatever its producer said
    appended_ms: int  # when the log took it; retention and horizons go by this
    key: bytes | None
    value: bytes | None
    headers: Headers


class Outgoing(NamedTuple):
    """One record to append; without a partition it goes where its key says (murmur2, as Kafka's Java client does).

    `packed` is the headers as one blob, where somebody has packed them already (`bus.headers`): the outbox keeps it.
    """

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    partition: int | None = None
    packed: bytes | None = None


class Run(list[Record]):
    """Records of one partition as they are delivered, in order; whatever readable there is from `begins` on is in it.

    Offsets have holes (transaction markers, deleted records), so whether a run follows on the one before says only `begins`.
    """

    __slots__ = ("begins",)

    def __init__(self, records: Iterable[Record], begins: int) -> None:
        super().__init__(records)
        self.begins = begins


@dataclass(frozen=True, slots=True)
class Fence:
    """Who appends on behalf of a group: an append under an epoch that is no longer the group's writes nothing."""

    group: str
    epoch: int


__all__ = ["Fence", "Headers", "Outgoing", "PackedHeaders", "Record", "Run", "pack_headers", "unpack_headers"]
