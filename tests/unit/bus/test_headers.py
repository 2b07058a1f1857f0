"""Headers survive their encoding, whatever they are."""

from hypothesis import given
from hypothesis import strategies as st

from bus import headers
from bus.record import Headers

names = st.one_of(st.sampled_from(["id", "type", ""]), st.text(max_size=400))
values = st.one_of(st.none(), st.binary(max_size=600))


@given(st.lists(st.tuples(names, values), max_size=20).map(tuple))
def test_what_is_encoded_is_decoded(given_headers: Headers) -> None:
    assert headers.unpack_headers(headers.pack_headers(given_headers)) == given_headers


@given(st.lists(st.tuples(names, values), max_size=20).map(tuple))
def test_packed_headers_are_like_the_list_of_them(given_headers: Headers) -> None:
    packed = headers.PackedHeaders(headers.pack_headers(given_headers))
    assert packed == given_headers and tuple(packed) == given_headers and len(packed) == len(given_headers)
    assert hash(packed) == hash(given_headers) and packed[:1] == given_headers[:1]
    assert packed == headers.PackedHeaders(packed.blob) and packed != (*given_headers, ("one more", b""))
    assert headers.pack_headers(packed) == packed.blob


def test_no_headers_take_no_room() -> None:
    assert headers.pack_headers(()) == b""


def test_many_headers_and_long_values_are_kept_too() -> None:
    many: Headers = tuple((f"h{n}", None if n % 2 else b"x" * n) for n in range(1000))
    assert headers.unpack_headers(headers.pack_headers(many)) == many


def test_a_lone_surrogate_in_a_name_is_kept() -> None:
    odd: Headers = (("\ud800", b"v"),)
    assert headers.unpack_headers(headers.pack_headers(odd)) == odd


def test_lengths_at_the_border_between_the_two_forms_are_kept() -> None:
    for size in (253, 254, 255, 256):
        border: Headers = (("n" * size, b"v" * size), ("null", None))
        assert headers.unpack_headers(headers.pack_headers(border)) == border
        counted: Headers = tuple(("n", b"") for _ in range(size))
        assert headers.unpack_headers(headers.pack_headers(counted)) == counted


def test_the_usual_headers_take_two_bytes_each_beside_their_text() -> None:
    usual: Headers = (("id", b"x" * 36), ("type", b"Register"), ("none", None))
    assert len(headers.pack_headers(usual)) == 2 + 2 * 3 + len("idtypenone") + 36 + len("Register")
