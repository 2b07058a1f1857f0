"""Headers as one blob: every name, value, repeat and null in order, without loss, small for the usual case.

0x00 n  (len(name) len(value))*n          names values     lengths are bytes; value length 255 = null
0x01 n  (len(name) len(value))*n          names values     n and lengths are little-endian u32; 0xffffffff = null
"""

import struct
from functools import lru_cache

Headers = tuple[tuple[str, bytes | None], ...]  # a list, not a dictionary: order, repeats and nulls are kept

NULL_SHORT, NULL_LONG = 0xFF, 0xFFFF_FFFF
ENCODING, ERRORS = "utf-8", "surrogatepass"  # a name may be any text


def pack_headers(headers: Headers) -> bytes:
    """The blob; empty for no headers."""
    if not headers:
        return b""
    lengths: list[int] = []
    names: list[bytes] = []
    values: list[bytes] = []
    for name, value in headers:
        raw = _name(name)
        names.append(raw)
        lengths.append(len(raw))
        if value is None:
            lengths.append(-1)
        else:
            values.append(value)
            lengths.append(len(value))
    count = len(names)
    if count < NULL_SHORT and max(lengths) < NULL_SHORT:
        head = bytes((0, count)) + bytes([n & NULL_SHORT for n in lengths])
    else:
        head = b"\x01" + struct.pack(f"<I{2 * count}I", count, *(n & NULL_LONG for n in lengths))
    return head + b"".join(names) + b"".join(values)


def unpack_headers(blob: bytes | None) -> Headers:
    """What `pack_headers` was given; none for an empty or missing blob."""
    if not blob:
        return ()
    if blob[0] == 0:
        count, null = blob[1], NULL_SHORT
        at = 2 + 2 * count
        lengths: bytes | tuple[int, ...] = blob[2:at]
    else:
        (count,) = struct.unpack_from("<I", blob, 1)
        lengths, null = struct.unpack_from(f"<{2 * count}I", blob, 5), NULL_LONG
        at = 5 + 8 * count
    name_lengths = lengths[::2]
    names_end = at + sum(name_lengths)
    names = _names(bytes(name_lengths), blob[at:names_end]) if null == NULL_SHORT else _split(name_lengths, blob[at:names_end])
    at = names_end
    headers: list[tuple[str, bytes | None]] = []
    for name, length in zip(names, lengths[1::2], strict=True):
        if length == null:
            headers.append((name, None))
        else:
            headers.append((name, blob[at : at + length]))
            at += length
    return tuple(headers)


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return name.encode(ENCODING, ERRORS)


@lru_cache(maxsize=256)  # a topic's records have the same names, so this is one look-up a record
def _names(lengths: bytes, joined: bytes) -> tuple[str, ...]:
    return _split(lengths, joined)


def _split(lengths: bytes | tuple[int, ...], joined: bytes) -> tuple[str, ...]:
    names, at = [], 0
    for length in lengths:
        names.append(joined[at : at + length].decode(ENCODING, ERRORS))
        at += length
    return tuple(names)
