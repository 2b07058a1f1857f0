"""Headers as one blob: every name, value, repeat and null in order, without loss, small for the usual case.

0x00 n  len(name)*n len(value)*n     names values     lengths are bytes; value length 255 = null
0x01 n  len(name)*n len(value)*n     names values     n and lengths are little-endian u32; 0xffffffff = null
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from operator import itemgetter

Headers = tuple[tuple[str, bytes | None], ...]  # a list, not a dictionary: order, repeats and nulls are kept

NULL_SHORT, NULL_LONG = 0xFF, 0xFFFF_FFFF
ENCODING, ERRORS = "utf-8", "surrogatepass"  # a name may be any text


def pack_headers(headers: Headers) -> bytes:
    """The blob; empty for no headers."""
    if not headers:
        return b""
    names, values = zip(*headers, strict=True)
    lengths, joined = _packed_names(names)
    count = len(names)
    if lengths is not None and count < NULL_SHORT and None not in values:  # the usual case, without a loop
        sizes = list(map(len, values))
        if max(sizes) < NULL_SHORT:
            return b"".join((bytes((0, count)), lengths, bytes(sizes), joined, *values))
    sizes = [NULL_LONG if value is None else len(value) for value in values]
    data = b"".join([value for value in values if value is not None])
    if lengths is not None and count < NULL_SHORT and all(size < NULL_SHORT or size == NULL_LONG for size in sizes):
        return b"".join((bytes((0, count)), lengths, bytes([size & NULL_SHORT for size in sizes]), joined, data))
    raw = [len(_encoded(name)) for name in names]
    return b"".join((b"\x01", struct.pack(f"<I{2 * count}I", count, *raw, *sizes), joined, data))


def unpack_headers(blob: bytes | None) -> Headers:
    """What `pack_headers` was given; none for an empty or missing blob."""
    if not blob:
        return ()
    if blob[0] == 0:
        count = blob[1]
        at = 2 + 2 * count
        names, values = _places(blob[2 : 2 + count], blob[2 + count : at], blob[at : at + sum(blob[2 : 2 + count])])
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


@lru_cache(maxsize=256)  # a topic's records have the same names, so this is one look-up a record
def _packed_names(names: tuple[str, ...]) -> tuple[bytes | None, bytes]:
    """The lengths as bytes (None where one does not fit) and the names one after another."""
    raw = [_encoded(name) for name in names]
    fits = all(len(name) < NULL_SHORT for name in raw)
    return bytes(map(len, raw)) if fits else None, b"".join(raw)


def _encoded(name: str) -> bytes:
    return name.encode(ENCODING, ERRORS)


@lru_cache(maxsize=1024)  # a topic's records have the same names and mostly the same lengths: one look-up, one call in C
def _places(lengths: bytes, sizes: bytes, joined: bytes) -> tuple[tuple[str, ...], Callable[[bytes], tuple[bytes | None, ...]]]:
    """The names, and how the values are cut out of a blob of this shape."""
    at = 2 + 2 * len(lengths) + len(joined)
    cuts = [None if size == NULL_SHORT else slice(at, at := at + size) for size in sizes]
    if None not in cuts and len(cuts) > 1:
        return _split(lengths, joined), itemgetter(*cuts)
    return _split(lengths, joined), lambda blob: tuple(None if cut is None else blob[cut] for cut in cuts)


def _split(lengths: Sequence[int], joined: bytes) -> tuple[str, ...]:
    names, at = [], 0
    for length in lengths:
        names.append(joined[at : at + length].decode(ENCODING, ERRORS))
        at += length
    return tuple(names)
