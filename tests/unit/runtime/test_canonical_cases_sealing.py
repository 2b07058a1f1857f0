"""Sealed values under attack and under rotation: every bit counts, nothing can be moved, and a ring opens what its keys say."""

import base64
import dataclasses
import secrets
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from agents.runtime import sealing
from agents.runtime.sealing import NONCE_BYTES, TAG_BYTES, CannotOpen, Keyring, is_sealed, key_id
from config.keys import KEY_BYTES, generate

KEYS = generate()
RING = Keyring(KEYS)
FIELDS = ["mobile", "id_number", "card_number", "password_hash", "", "mobile ", "Mobile", "mobile\0"]
MOBILE = "13800000000"


def content(sealed: str) -> bytes:
    """Nonce, ciphertext and tag."""
    body = sealed.split(".")[2]
    return base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))


def with_content(sealed: str, changed: bytes) -> str:
    """The sealed value with other content."""
    head = ".".join(sealed.split(".")[:2])
    return f"{head}.{base64.urlsafe_b64encode(changed).rstrip(b'=').decode()}"


def stays_closed(sealed: str, field: str = "mobile", ring: Keyring = RING) -> None:
    """Fail when it opens, or when the refusal says what is inside."""
    with pytest.raises(CannotOpen) as caught:
        ring.open(sealed, field=field)
    assert MOBILE not in str(caught.value)


def test_the_nonce_the_text_and_the_tag_are_all_there_and_nothing_else() -> None:
    for text in ("", "x", MOBILE, "李" * 100):
        assert len(content(RING.seal(text, field="mobile"))) == NONCE_BYTES + len(text.encode()) + TAG_BYTES


def test_every_single_bit_counts() -> None:
    sealed = RING.seal(MOBILE, field="mobile")
    whole = content(sealed)
    for bit in range(len(whole) * 8):
        changed = bytearray(whole)
        changed[bit // 8] ^= 1 << bit % 8
        stays_closed(with_content(sealed, bytes(changed)))


def test_a_value_cut_off_anywhere_stays_closed() -> None:
    sealed = RING.seal(MOBILE, field="mobile")
    for end in range(len(sealed)):
        stays_closed(sealed[:end])
    whole = content(sealed)
    for end in range(len(whole)):
        stays_closed(with_content(sealed, whole[:end]))
        stays_closed(with_content(sealed, whole[end + 1 :]))


@pytest.mark.parametrize("sealed_for", FIELDS)
def test_a_value_opens_for_its_field_and_for_none_that_is_spelt_like_it(sealed_for: str) -> None:
    sealed = RING.seal(MOBILE, field=sealed_for)
    assert RING.open(sealed, field=sealed_for) == MOBILE
    for other in set(FIELDS) - {sealed_for}:
        stays_closed(sealed, other)


@given(st.text(max_size=30), st.text(max_size=30), st.integers(0, 60))
def test_two_values_cannot_be_put_together(one: str, other: str, cut: int) -> None:
    first, second = RING.seal(one, field="mobile"), RING.seal(other, field="mobile")
    mixed = content(first)[:cut] + content(second)[cut:]
    if mixed not in (content(first), content(second)):
        stays_closed(with_content(first, mixed))
    stays_closed(with_content(first, content(first) + content(second)))


@pytest.mark.parametrize("respelt", [
    pytest.param(lambda s: s + "=", id="padding"),
    pytest.param(lambda s: s + "\n", id="newline after it"),
    pytest.param(lambda s: " " + s, id="space before it"),
    pytest.param(lambda s: s.replace("s1.", "s2.", 1), id="another version"),
    pytest.param(lambda s: s.replace("s1.", "S1.", 1), id="version in capitals"),
    pytest.param(lambda s: s.replace(".k1.", ".K1.", 1), id="key in capitals"),
    pytest.param(lambda s: s.replace(".k1.", ".k01.", 1), id="key with a zero"),
    pytest.param(lambda s: s.replace(".k1.", "..", 1), id="no key"),
    pytest.param(lambda s: s.replace(".k1.", f".{'k' * 17}.", 1), id="key id too long"),
    pytest.param(lambda s: s.replace(".k1.", ".ｋ1.", 1), id="key in full width"),
    pytest.param(lambda s: s + "." + s, id="twice"),
    pytest.param(lambda s: s + ".x", id="a fourth part"),
    pytest.param(lambda s: s[:20] + "\n" + s[20:], id="newline inside"),
    pytest.param(lambda s: s[:20] + "+" + s[21:], id="the other alphabet"),
    pytest.param(lambda s: s + "A", id="one character more"),
    pytest.param(lambda s: s + "AAAA", id="three bytes more"),
])  # fmt: skip
def test_a_sealed_value_has_one_spelling(respelt: Any) -> None:
    stays_closed(respelt(RING.seal(MOBILE, field="mobile")))


@pytest.mark.parametrize("text", ["", "x", "xy", "xyz"])
def test_the_bits_that_base64_does_not_use_make_no_second_spelling(text: str) -> None:
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    sealed = RING.seal(text, field="mobile")
    for letter in set(alphabet) - {sealed[-1]}:
        stays_closed(sealed[:-1] + letter)


@given(st.binary(max_size=60))
def test_random_content_never_opens(whole: bytes) -> None:
    stays_closed(with_content(RING.seal("", field="mobile"), whole))


@given(st.text(st.characters(), max_size=40))
def test_what_has_the_form_of_a_sealed_value_has_a_key_and_nothing_else_has(value: str) -> None:
    for candidate in (value, f"s1.{value}", f"s1.k1.{value}", f"s1.{value}.AAAA"):
        if is_sealed(candidate):
            assert f"s1.{key_id(candidate)}." == candidate[: len(key_id(candidate)) + 4]
        else:
            with pytest.raises(CannotOpen):
                key_id(candidate)


@pytest.mark.parametrize("value", [None, 1, True, b"s1.k1.AAAA", ["s1.k1.AAAA"], {"s1.k1.AAAA": 1}])
def test_only_text_is_a_sealed_value(value: object) -> None:
    assert not is_sealed(value)


@given(st.text(max_size=20), st.text(max_size=20), st.sampled_from(FIELDS), st.sampled_from(FIELDS))
def test_a_look_up_is_of_the_field_and_the_text_and_the_border_cannot_be_moved(one: str, other: str, left: str, right: str) -> None:
    """A field name holds no NUL in any message; with one the border could be moved, so only those without are compared."""
    if "\0" not in left + right:
        same = RING.lookup(one, field=left) == RING.lookup(other, field=right)
        assert same == ((left, one) == (right, other))


@pytest.mark.parametrize("purpose", ["lookup", "mac", "token"])
def test_each_purpose_has_its_own_key_and_changing_one_changes_no_other(purpose: str) -> None:
    another: dict[str, Any] = {purpose: secrets.token_bytes(KEY_BYTES)}
    changed = Keyring(dataclasses.replace(KEYS, **another))
    same = {
        "lookup": changed.lookup("x", field="mobile") == RING.lookup("x", field="mobile"),
        "mac": changed.mac(b"x") == RING.mac(b"x"),
        "token": changed.token("x") == RING.token("x"),
    }
    assert same == {name: name != purpose for name in same}
    assert changed.open(RING.seal(MOBILE, field="mobile"), field="mobile") == MOBILE
    assert (changed.fingerprint() == RING.fingerprint()) == (purpose != "lookup")


@pytest.mark.parametrize(("mask", "value", "shown"), [
    pytest.param(sealing.mask_mobile, "13800000000", "138****0000", id="mobile"),
    pytest.param(sealing.mask_mobile, "12345678", "123*5678", id="one hidden"),
    pytest.param(sealing.mask_id_number, "12", "**", id="nothing left of two"),
    pytest.param(sealing.mask_id_number, "123", "1*3", id="three"),
    pytest.param(sealing.mask_bank_card, "6228480402564890018", "***************0018", id="nineteen digits"),
    pytest.param(sealing.mask_bank_card, "0018", "****", id="four digits only"),
    pytest.param(sealing.mask_name, "欧阳娜娜", "欧***", id="four characters"),
    pytest.param(sealing.mask_name, "", "*", id="no name"),
])  # fmt: skip
def test_a_mask_keeps_the_length_and_hides_the_middle(mask: Any, value: str, shown: str) -> None:
    assert mask(value) == shown


class Rotation(RuleBasedStateMachine):
    """Keys come, write, and go; the model is the set of key ids that may open."""

    values = Bundle("values")

    @initialize()
    def begin(self) -> None:
        self.keys = generate()
        self.made = 1

    @property
    def ring(self) -> Keyring:
        """What a process has that is started now."""
        return Keyring(self.keys)

    @rule()
    def a_new_key_writes(self) -> None:
        self.made += 1
        name = f"k{self.made}"
        self.keys = dataclasses.replace(self.keys, writes=name, seal={**self.keys.seal, name: secrets.token_bytes(KEY_BYTES)})

    @rule(data=st.data())
    def an_old_key_writes_again(self, data: st.DataObject) -> None:
        self.keys = dataclasses.replace(self.keys, writes=data.draw(st.sampled_from(sorted(self.keys.seal))))

    @rule(data=st.data())
    def a_key_goes(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(sorted(self.keys.seal)))
        if gone != self.keys.writes:
            self.keys = dataclasses.replace(self.keys, seal={k: v for k, v in self.keys.seal.items() if k != gone})

    @rule(target=values, text=st.text(max_size=10), field=st.sampled_from(["mobile", "card_number"]))
    def a_text_is_sealed(self, text: str, field: str) -> tuple[str, str, str]:
        sealed = self.ring.seal(text, field=field)
        assert key_id(sealed) == self.keys.writes
        return sealed, text, field

    @rule(value=values)
    def a_value_opens_exactly_when_its_key_is_here(self, value: tuple[str, str, str]) -> None:
        sealed, text, field = value
        if key_id(sealed) in self.keys.seal:
            assert self.ring.open(sealed, field=field) == text
        else:
            with pytest.raises(CannotOpen, match="not in the key file"):
                self.ring.open(sealed, field=field)

    @rule(value=values)
    def another_keys_name_opens_nothing(self, value: tuple[str, str, str]) -> None:
        sealed, _, field = value
        for name in set(self.keys.seal) - {key_id(sealed)}:
            with pytest.raises(CannotOpen):
                self.ring.open(sealed.replace(f".{key_id(sealed)}.", f".{name}.", 1), field=field)

    @invariant()
    def look_ups_never_move(self) -> None:
        if not hasattr(self, "looked_up"):
            self.looked_up = self.ring.lookup("x", field="mobile")
        assert self.ring.lookup("x", field="mobile") == self.looked_up


Rotation.TestCase.settings = settings(max_examples=30, stateful_step_count=20)
TestRotation = Rotation.TestCase
