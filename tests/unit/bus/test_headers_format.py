"""The blob of headers byte by byte: what stands in files today must be read tomorrow, and no two lists have one blob (CASES B14)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.headers import Headers, pack_headers, unpack_headers

SHORT = [
    pytest.param((), "", id="none"),
    pytest.param((("id", b"1"),), "00 01 02 01 6964 31", id="one"),
    pytest.param((("id", b"1"), ("id", b"2")), "00 02 0202 0101 69646964 31 32", id="one name twice"),
    pytest.param((("", b""),), "00 01 00 00", id="an empty name and value"),
    pytest.param((("n", None),), "00 01 01 ff 6e", id="null"),
    pytest.param((("n", None), ("n", b""), ("n", b"x")), "00 03 010101 ff0001 6e6e6e 78", id="null, empty and something"),
    pytest.param((("名", b"\xff"),), "00 01 03 01 e5908d ff", id="a Chinese name and a byte that is no text"),
    pytest.param((("\ud800", b"v"),), "00 01 03 01 eda080 76", id="half a character as name"),
    pytest.param((("id", b"a\n\x1b[2J"),), "00 01 02 06 6964 610a1b5b324a", id="a line end and ESC"),
]
LONG = [
    pytest.param((("n", b"v" * 255),), "01 01000000 01000000 ff000000 6e" + "76" * 255, id="a value of 255 bytes"),
    pytest.param((("n" * 255, b"v"),), "01 01000000 ff000000 01000000" + "6e" * 255 + "76", id="a name of 255 bytes"),
    pytest.param((("n" * 255, None),), "01 01000000 ff000000 ffffffff" + "6e" * 255, id="a long name without a value"),
    pytest.param((("", b""),) * 255, "01 ff000000" + "00" * 8 * 255, id="255 headers"),
]

names = st.sampled_from(["id", "type", "", "a", "aa", "名", "\udfff", "n" * 254, "n" * 255, "n" * 300])
values = st.none() | st.binary(max_size=3) | st.sampled_from([b"v" * 254, b"v" * 255, b"v" * 700])
lists = st.lists(st.tuples(names, values), max_size=6).map(tuple)


@pytest.mark.parametrize(("headers", "blob"), SHORT + LONG)
def test_a_list_of_headers_has_exactly_these_bytes(headers: Headers, blob: str) -> None:
    assert pack_headers(headers).hex() == blob.replace(" ", "")
    assert unpack_headers(bytes.fromhex(blob)) == headers


def test_a_missing_blob_is_no_headers() -> None:
    assert unpack_headers(None) == ()


@given(lists)
def test_the_short_form_is_taken_exactly_when_everything_fits_into_bytes(headers: Headers) -> None:
    fits = all(len(name.encode("utf-8", "surrogatepass")) < 255 and len(value or b"") < 255 for name, value in headers)
    blob = pack_headers(headers)
    assert blob[:1] == (b"" if not headers else b"\x00" if fits else b"\x01")
    per_header = 2 if fits else 8
    text = sum(len(name.encode("utf-8", "surrogatepass")) + len(value or b"") for name, value in headers)
    assert len(blob) == (len(headers) and (2 if fits else 5) + per_header * len(headers) + text)


@given(lists, lists)
def test_two_lists_have_one_blob_only_when_they_are_one_list(one: Headers, other: Headers) -> None:
    assert (pack_headers(one) == pack_headers(other)) == (one == other)


@given(lists, st.data())
def test_what_was_read_before_does_not_change_what_is_read_now(headers: Headers, data: st.DataObject) -> None:
    """The shapes of blobs are remembered: another list of the same shape must not get the values of the first."""
    other = tuple(
        (name, None if value is None else data.draw(st.binary(min_size=len(value), max_size=len(value)))) for name, value in headers
    )
    blobs = pack_headers(headers), pack_headers(other)
    assert [unpack_headers(blob) for blob in (*blobs, *blobs)] == [headers, other, headers, other]


@pytest.mark.parametrize("count", [1, 2, 100, 254, 255, 256, 300, 5_000])
@pytest.mark.parametrize("value", [None, b"", b"v", b"v" * 255], ids=["null", "empty", "short", "long"])
def test_any_number_of_headers_comes_back_in_order(count: int, value: bytes | None) -> None:
    headers: Headers = tuple((f"h{n % 7}", value if n % 2 else b"%d" % n) for n in range(count))
    assert unpack_headers(pack_headers(headers)) == headers
