"""A key's partition is the one that Kafka's clients choose, so that a log that moves to Kafka keeps its keys together."""

import pytest
from aiokafka.partitioner import DefaultPartitioner
from hypothesis import given
from hypothesis import strategies as st

from bus.partitioning import partition_of

SEED, M, R, WORD = 0x9747B28C, 0x5BD1E995, 24, 0xFFFF_FFFF

keys = st.binary(max_size=40)
partition_counts = st.integers(1, 1000)


def murmur2(data: bytes) -> int:
    """MurmurHash2 of 32 bits, by its published definition (little-endian words, then the rest)."""
    h = SEED ^ len(data)
    whole = len(data) - len(data) % 4
    for at in range(0, whole, 4):
        k = int.from_bytes(data[at : at + 4], "little") * M & WORD
        h = (h * M & WORD) ^ ((k ^ k >> R) * M & WORD)
    if rest := data[whole:]:
        h = (h ^ int.from_bytes(rest, "little")) * M & WORD
    h = (h ^ h >> 13) * M & WORD
    return h ^ h >> 15


@given(keys, partition_counts)
def test_it_is_murmur2_made_positive_and_divided(key: bytes, count: int) -> None:
    assert partition_of(key, count) == (murmur2(key) & 0x7FFF_FFFF) % count


@given(keys, partition_counts)
def test_it_is_what_aiokafka_chooses(key: bytes, count: int) -> None:
    every = list(range(count))
    assert partition_of(key, count) == DefaultPartitioner()(key, every, every)


@given(keys, st.integers(1, 12))
def test_a_key_stays_with_its_kin_when_the_partitions_are_doubled(key: bytes, count: int) -> None:
    assert partition_of(key, 2 * count) % count == partition_of(key, count)


@pytest.mark.parametrize("count", [1, 2, 8, 1000])
def test_without_a_key_it_is_the_first_and_an_empty_key_is_a_key(count: int) -> None:
    assert partition_of(None, count) == 0
    assert partition_of(b"", count) == (murmur2(b"") & 0x7FFF_FFFF) % count


def test_ids_spread_over_all_partitions() -> None:
    taken = [partition_of(f"00000000-0000-4000-8000-{n:012}".encode(), 8) for n in range(4000)]
    assert all(400 < taken.count(partition) < 600 for partition in range(8))
