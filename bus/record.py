"""What travels on a bus: a record as it was read, and one that is to be appended. Both transports speak these."""

from dataclasses import dataclass

import orjson

Headers = tuple[tuple[str, bytes | None], ...]  # a list, not a dictionary: order, repeats and nulls are kept


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the log holds it. Null, empty and missing are three things."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int  # the record's own, whatever its producer said
    appended_ms: int  # when the log took it; retention and horizons go by this
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to append; without a partition it goes where its key says (murmur2, as Kafka's Java client does)."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    timestamp_ms: int
    partition: int | None = None


@dataclass(frozen=True, slots=True)
class Fence:
    """Who appends on behalf of a group: an append under an epoch that is no longer the group's writes nothing."""

    group: str
    epoch: int


def pack_headers(headers: Headers) -> bytes:
    """Headers as one blob, loss-free: bytes travel as the code points 0–255 inside JSON text."""
    return orjson.dumps([(name, None if value is None else value.decode("latin-1")) for name, value in headers])


def unpack_headers(blob: bytes) -> Headers:
    """The headers that `pack_headers` packed, in order, repeats and nulls included."""
    return tuple((name, None if value is None else value.encode("latin-1")) for name, value in orjson.loads(blob))
