"""Headers as one blob: every name, value, repeat and null in order, without loss, small for the usual case.

0x00 n  len(name)*n len(value)*n     names values     lengths are bytes; value length 255 = null
0x01 n  len(name)*n len(value)*n     names values     n and lengths are little-endian u32; 0xffffffff = null
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import itemgetter
from typing import Any, overload

Headers = Sequence[tuple[str, bytes | None]]  # a list, not a dictionary: order, repeats and nulls are kept

NULL_SHORT, NULL_LONG = 0xFF, 0xFFFF_FFFF
ENCODING, ERRORS = "utf-8", "surrogatepass"  # a name may be any text


class PackedHeaders(Sequence[tuple[str, bytes | None]]):
    """Headers as their blob, unpacked when somebody looks: most records go by without. Equal to the tuple of the same pairs."""

    __slots__ = ("_pairs", "blob")

    def __init__(self, blob: bytes) -> None:
        self.blob = blob
        self._pairs: tuple[tuple[str, bytes | None], ...] | None = None

    @property
    def pairs(self) -> tuple[tuple[str, bytes | None], ...]:
        """The headers one by one."""
        if self._pairs is None:
            self._pairs = unpack_headers(self.blob)
        return self._pairs

    @overload
    def __getitem__(self, index: int) -> tuple[str, bytes | None]: ...

    @overload
    def __getitem__(self, index: slice) -> tuple[tuple[str, bytes | None], ...]: ...

    def __getitem__(self, index: Any) -> Any:
        return self.pairs[index]

    def __iter__(self) -> Iterator[tuple[str, bytes | None]]:
        return iter(self.pairs)

    def __len__(self) -> int:
        return len(self.pairs)

    def __eq__(self, other: object) -> bool:
        return self.pairs == (other.pairs if isinstance(other, PackedHeaders) else other)

    def __hash__(self) -> int:
        return hash(self.pairs)

    def __repr__(self) -> str:
        return repr(self.pairs)


def pack_headers(headers: Headers) -> bytes:
    """The blob; empty for no headers."""
    if isinstance(headers, PackedHeaders):
        return headers.blob
    return pack(*zip(*headers, strict=True)) if headers else b""


def pack(names: tuple[str, ...], values: Sequence[bytes | None]) -> bytes:
    """The blob of headers of these names and, in the same order, these values."""
    try:
        head = _head(names, bytes(map(len, values)))  # type: ignore[arg-type]
    except (TypeError, ValueError):  # a null, a length beyond a byte
        head = None
    if head is not None:  # the usual case, without a loop
        return b"".join((head, *values))  # type: ignore[arg-type]
    raw = [_encoded(name) for name in names]
    lengths, count, joined = list(map(len, raw)), len(names), b"".join(raw)
    sizes = [NULL_LONG if value is None else len(value) for value in values]
    data = b"".join([value for value in values if value is not None])
    if max(count, *lengths) < NULL_SHORT and all(size < NULL_SHORT or size == NULL_LONG for size in sizes):
        return b"".join((bytes((0, count, *lengths)), bytes([size & NULL_SHORT for size in sizes]), joined, data))
    return b"".join((b"\x01", struct.pack(f"<I{2 * count}I", count, *lengths, *sizes), joined, data))


@lru_cache(maxsize=1024)  # a topic's records have the same names and mostly the same lengths: one look-up a record
def _head(names: tuple[str, ...], sizes: bytes) -> bytes | None:
    """What stands before values of these sizes in a blob of the first form; None where something is too long for it."""
    raw = [_encoded(name) for name in names]
    if len(names) >= NULL_SHORT or NULL_SHORT in sizes or any(len(name) >= NULL_SHORT for name in raw):
        return None
    return b"".join((bytes((0, len(names), *map(len, raw))), sizes, *raw))


def head_of(blob: bytes) -> bytes | None:
    """What stands before the values of a blob of the first form: the same for all records of the same names and lengths."""
    if not blob or blob[0]:
        return None
    count = blob[1]
    return blob[: 2 + 2 * count + sum(blob[2 : 2 + count])]


def names_and_sizes(head: bytes) -> list[tuple[str, int | None]]:
    """The names in a head, each with how many bytes its value has; None for a null."""
    count = head[1]
    names = _split(head[2 : 2 + count], head[2 + 2 * count :])
    return [(name, None if size == NULL_SHORT else size) for name, size in zip(names, head[2 + count : 2 + 2 * count], strict=True)]


def unpack_headers(blob: bytes | None) -> tuple[tuple[str, bytes | None], ...]:
    """What `pack_headers` was given; none for an empty or missing blob."""
    if not blob:
        return ()
    if (head := head_of(blob)) is not None:
        names, values = _places(head)
        return tuple(zip(names, values(blob), strict=True))
    (count,) = struct.unpack_from("<I", blob, 1)
    numbers = struct.unpack_from(f"<{2 * count}I", blob, 5)
    at = 5 + 8 * count
    names_end = at + sum(numbers[:count])
    headers: list[tuple[str, bytes | None]] = []
    names, at = _split(numbers[:count], blob[at:names_end]), names_end
    for name, size in zip(names, numbers[count:], strict=True):
        if size == NULL_LONG:
            headers.append((name, None))
        else:
            headers.append((name, blob[at : at + size]))
            at += size
    return tuple(headers)


def _encoded(name: str) -> bytes:
    return name.encode(ENCODING, ERRORS)


@lru_cache(maxsize=1024)  # a topic's records have the same names and mostly the same lengths: one look-up, one call in C
def _places(head: bytes) -> tuple[tuple[str, ...], Callable[[bytes], tuple[bytes | None, ...]]]:
    """The names, and how the values are cut out of a blob with this head."""
    at = len(head)
    found = names_and_sizes(head)
    names = tuple(name for name, _ in found)
    cuts = [None if size is None else slice(at, at := at + size) for _, size in found]
    if None not in cuts and len(cuts) > 1:
        return names, itemgetter(*cuts)
    return names, lambda blob: tuple(None if cut is None else blob[cut] for cut in cuts)


def _split(lengths: Sequence[int], joined: bytes) -> tuple[str, ...]:
    names, at = [], 0
    for length in lengths:
        names.append(joined[at : at + length].decode(ENCODING, ERRORS))
        at += length
    return tuple(names)
