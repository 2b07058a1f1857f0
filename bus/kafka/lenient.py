"""Header names that are no UTF-8: aiokafka gives the whole fetch up at one (UnicodeDecodeError), for ever. Ours keeps the bytes.

A batch is read by aiokafka's fast reader; only where that gives up, its slow one reads it again with `surrogateescape`.
"""

import struct
from collections.abc import Iterator
from typing import Any, SupportsIndex

from aiokafka.record.default_records import _DefaultRecordBatchPy
from aiokafka.record.memory_records import MemoryRecords

BATCH_HEAD_BYTES = 12  # base offset and length


class _Escaping(bytearray):
    """Bytes whose slices are decoded without loss."""

    def __getitem__(self, index: Any) -> Any:
        found = super().__getitem__(index)
        return _Escaping(found) if isinstance(index, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "surrogateescape") -> str:
        return super().decode(encoding, errors)

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        raise TypeError("never leaves this module")


class _Batch:
    """One batch as aiokafka's `PartitionRecords` asks it."""

    def __init__(self, fast: Any, data: bytes) -> None:
        self._fast = fast
        self._data = data

    def __getattr__(self, name: str) -> Any:
        return getattr(self._fast, name)

    def __next__(self) -> Any:
        return next(self._fast)

    def __iter__(self) -> Iterator[Any]:
        """The records; after a name that is no UTF-8 from the beginning again: who reads passes over what it has had."""
        try:
            yield from self._fast
            return
        except UnicodeDecodeError:
            slow = _DefaultRecordBatchPy(self._data)
        slow._maybe_uncompress()
        slow._buffer = _Escaping(slow._buffer[slow._pos :])
        slow._pos = 0
        yield from slow


class LenientRecords:
    """The batches of a fetched piece of log, as aiokafka's `PartitionRecords` asks them."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._fast = MemoryRecords(data)
        self._pos = 0

    def has_next(self) -> bool:
        """Whether there is another whole batch."""
        return bool(self._fast.has_next())

    def next_batch(self) -> _Batch:
        """The next batch."""
        (length,) = struct.unpack_from(">i", self._data, self._pos + 8)
        start, self._pos = self._pos, self._pos + BATCH_HEAD_BYTES + length
        return _Batch(self._fast.next_batch(), self._data[start : self._pos])
