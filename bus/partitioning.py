"""Where a key goes: the one rule by which an actor's messages come to one partition, on both transports and in the tools."""

from typing import Final

from aiokafka.partitioner import murmur2

HASH_MASK: Final = 0x7FFF_FFFF  # as Kafka's Java client makes murmur2 positive


def partition_of(key: bytes | None, count: int) -> int:
    """Where a key goes, as Kafka's Java client decides it; a null key goes to partition 0."""
    if count == 1 or key is None:
        return 0
    return (int(murmur2(key)) & HASH_MASK) % count
