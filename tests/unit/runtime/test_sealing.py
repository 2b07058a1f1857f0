import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agents.runtime import sealing
from agents.runtime.sealing import CannotOpen, Keyring
from config.keys import Keys, generate

KEYS = generate()
RING = Keyring.from_keys(KEYS)
TEXTS = st.text(max_size=60)
FIELDS = st.sampled_from(["mobile", "id_number", "card", "password_hash"])


def rotated(old: Keys) -> Keys:
    new = generate()
    return dataclasses.replace(old, writes="k2", seal={**old.seal, "k2": new.seal["k1"]})


@given(TEXTS, FIELDS)
def test_what_was_sealed_opens_for_its_field(text: str, field: str) -> None:
    sealed = RING.seal(text, field=field)
    assert RING.open(sealed, field=field) == text
    assert sealing.is_sealed(sealed)
    assert sealed.startswith("s1.k1.")


@given(TEXTS)
def test_a_sealed_value_opens_for_no_other_field(text: str) -> None:
    with pytest.raises(CannotOpen):
        RING.open(RING.seal(text, field="mobile"), field="card")


def test_the_same_text_is_sealed_differently_each_time() -> None:
    assert len({RING.seal("13800000000", field="mobile") for _ in range(100)}) == 100


@given(st.data())
def test_a_changed_sealed_value_does_not_open(data: st.DataObject) -> None:
    sealed = RING.seal("13800000000", field="mobile")
    at = data.draw(st.integers(0, len(sealed) - 1))
    other = data.draw(st.characters().filter(lambda c: c != sealed[at]))
    with pytest.raises(CannotOpen):
        RING.open(sealed[:at] + other + sealed[at + 1 :], field="mobile")


@pytest.mark.parametrize(
    "sealed", ["", "13800000000", "s1.k1.", "s1.k1.AAAA", "s1..AAAA", "s2.k1.AAAA", "s1.k1.A", "s1.k1.AAAA=", "s1.k1.AAAA\n", "s1.K1.AA"]
)
def test_what_is_no_sealed_value_does_not_open(sealed: str) -> None:
    with pytest.raises(CannotOpen):
        RING.open(sealed, field="mobile")


@given(st.text(st.characters(), max_size=60), st.text(max_size=20))
def test_no_text_makes_opening_do_anything_but_refuse(body: str, field: str) -> None:
    for sealed in (body, "s1.k1." + body):
        with pytest.raises(CannotOpen):
            RING.open(sealed, field=field)


def test_an_old_key_still_opens_and_the_new_one_writes() -> None:
    old = RING.seal("13800000000", field="mobile")
    ring = Keyring(rotated(KEYS))
    assert ring.open(old, field="mobile") == "13800000000"
    new = ring.seal("13800000000", field="mobile")
    assert (sealing.key_id(old), sealing.key_id(new)) == ("k1", "k2")
    with pytest.raises(CannotOpen, match="k2"):
        RING.open(new, field="mobile")


def test_rotation_changes_no_look_up() -> None:
    ring = Keyring(rotated(KEYS))
    assert ring.lookup("x", field="mobile") == RING.lookup("x", field="mobile")
    assert ring.fingerprint() == RING.fingerprint()


def test_another_platforms_keys_open_and_find_nothing() -> None:
    other = Keyring(generate())
    with pytest.raises(CannotOpen):
        other.open(RING.seal("x", field="mobile"), field="mobile")
    assert other.lookup("x", field="mobile") != RING.lookup("x", field="mobile")
    assert other.fingerprint() != RING.fingerprint()


def test_a_refusal_to_open_says_nothing_of_what_is_inside() -> None:
    with pytest.raises(CannotOpen) as caught:
        RING.open(RING.seal("13800000000", field="mobile"), field="card")
    assert "13800000000" not in str(caught.value)
    assert caught.value.__suppress_context__


@given(TEXTS, TEXTS)
def test_look_ups_agree_exactly_when_text_and_field_do(one: str, other: str) -> None:
    assert (RING.lookup(one, field="mobile") == RING.lookup(other, field="mobile")) == (one == other)
    assert RING.lookup(one, field="mobile") != RING.lookup(one, field="card")


def test_each_purpose_has_a_key_of_its_own() -> None:
    values = {RING.lookup("x", field=""), RING.mac(b"\0x"), RING.mac(b"x"), RING.token("x"), RING.fingerprint()}
    assert len(values) == 5


@given(st.binary(max_size=50), st.binary(max_size=50))
def test_a_mac_is_the_same_exactly_for_the_same_bytes(one: bytes, other: bytes) -> None:
    assert (RING.mac(one) == RING.mac(other)) == (one == other)
    assert len(RING.mac(one)) == 64


@given(st.text(st.characters(), max_size=50))
def test_only_its_own_token_fits(guess: str) -> None:
    token = RING.token("0b0e6d2c-7f2e-5a53-9a8a-6a1f0d7f8a11")
    assert RING.token_fits(token, "0b0e6d2c-7f2e-5a53-9a8a-6a1f0d7f8a11")
    assert not RING.token_fits(token, "0b0e6d2c-7f2e-5a53-9a8a-6a1f0d7f8a12")
    assert RING.token_fits(guess, "x") == (guess == RING.token("x"))
    assert len(token) == 43


def test_masks_show_what_people_may_see() -> None:
    assert sealing.mask_mobile("13800000000") == "138****0000"
    assert sealing.mask_id_number("11010519491231002X") == "1****************X"
    assert sealing.mask_bank_card("6283875070985593") == "************5593"
    assert [sealing.mask_name(name) for name in ("李小明", "李明", "李")] == ["李**", "李*", "李*"]


@pytest.mark.parametrize("value", ["", "1", "1234567"])
def test_what_is_too_short_to_mask_is_hidden_whole(value: str) -> None:
    assert sealing.mask_mobile(value) == "*" * len(value)


def test_keys_are_not_in_what_a_log_would_print() -> None:
    assert KEYS.lookup.hex() not in repr(KEYS)
    assert repr(KEYS) == "Keys(writes='k1')"
    assert "object at" in repr(RING)
