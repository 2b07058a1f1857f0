"""Sealed fields: what is personal or secret is closed before it reaches a message, and stays so wherever it lies (DESIGN 3).

A sealed value is `s1.<key id>.<base64url of nonce, ciphertext and tag>`, AES-256-GCM, bound to the name of its field: a
sealed mobile put in the place of a card number does not open. Pure: the keys come from `config/keys.py`.
"""

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from typing import Final, Self

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from config.keys import KEY_BYTES, Keys

PREFIX: Final = "s1."
NONCE_BYTES: Final = 12
TAG_BYTES: Final = 16

_SEALED = re.compile(r"s1\.([a-z0-9]{1,16})\.([A-Za-z0-9_-]+)", re.ASCII)


class CannotOpen(Exception):
    """This sealed value does not open: not one of ours, changed, another field's, or its key is not here."""


class Keyring:
    """Seals, opens, looks up and signs, each with a key of its own. Several keys may open, one seals."""

    def __init__(self, keys: Keys) -> None:
        self._ciphers = {name: AESGCM(key) for name, key in keys.seal.items()}
        self._writes = keys.writes
        self._lookup = keys.lookup
        self._mac = keys.mac
        self._token = keys.token

    @classmethod
    def from_keys(cls, keys: Keys) -> Self:
        """The keyring of loaded keys."""
        return cls(keys)

    def seal(self, text: str, *, field: str) -> str:
        """Close a canonical text for its field; twice the same text gives two different values, so compare by `lookup`."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        closed = self._ciphers[self._writes].encrypt(nonce, text.encode(), _bound_to(self._writes, field))
        return f"{PREFIX}{self._writes}.{_base64url(nonce + closed)}"

    def open(self, sealed: str, *, field: str) -> str:
        """The text that was sealed for this field. Raises CannotOpen, which never says what was inside."""
        if not (found := _SEALED.fullmatch(sealed)):
            raise CannotOpen("this is not a sealed value")
        name, body = found.groups()
        if name not in self._ciphers:
            raise CannotOpen(f"sealed with key {name!r}, which is not in the key file: add it to the keys that may open")
        try:
            content = base64.urlsafe_b64decode(body + "=" * (-len(body) % 4))
            if _base64url(content) != body:  # base64 has several spellings of some last characters, we have one
                raise CannotOpen("this is not a sealed value")
            return self._ciphers[name].decrypt(content[:NONCE_BYTES], content[NONCE_BYTES:], _bound_to(name, field)).decode()
        except (InvalidTag, ValueError, binascii.Error):
            raise CannotOpen(f"this is no {field} that key {name!r} has sealed, or it was changed") from None

    def lookup(self, text: str, *, field: str) -> str:
        """What a canonical text is found and compared by: a keyed hash, 64 hexadecimal digits, another one for each field."""
        return _hmac(self._lookup, field.encode() + b"\0" + text.encode()).hex()

    def fingerprint(self) -> str:
        """What a store keeps to notice another look-up key: 16 hexadecimal digits that say nothing about the key."""
        return _hmac(self._lookup, b"\0fingerprint of the look-up key").hex()[:16]

    def mac(self, content: bytes) -> str:
        """The content-mac of a command: HMAC-SHA-256 over its canonical unsealed body, 64 hexadecimal digits."""
        return _hmac(self._mac, content).hex()

    def token(self, text: str) -> str:
        """The unguessable half of a status URL, 43 URL-safe characters; the same for the same text, so nothing must be kept."""
        return _base64url(_hmac(self._token, text.encode()))

    def derived(self, purpose: str) -> bytes:
        """A key for one more purpose, from the key of the tokens (HKDF, RFC 5869): what signs one thing signs no other."""
        return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(self._token)

    def token_fits(self, token: str, text: str) -> bool:
        """Whether a token is that of the text, in constant time."""
        return hmac.compare_digest(token.encode("utf-8", "replace"), self.token(text).encode())


def is_sealed(value: object) -> bool:
    """Whether a value has the form of a sealed one; only `Keyring.open` knows whether it is."""
    return isinstance(value, str) and _SEALED.fullmatch(value) is not None


def key_id(sealed: str) -> str:
    """The id of the key that a sealed value names. Raises CannotOpen for anything else."""
    if not (found := _SEALED.fullmatch(sealed)):
        raise CannotOpen("this is not a sealed value")
    return found[1]


def mask_mobile(mobile: str) -> str:
    """A mobile number as people may see it: 138****0000."""
    return _masked(mobile, 3, 4)


def mask_id_number(number: str) -> str:
    """An ID number as people may see it: first and last character."""
    return _masked(number, 1, 1)


def mask_bank_card(number: str) -> str:
    """A card number as people may see it: its last four digits."""
    return _masked(number, 0, 4)


def mask_name(name: str) -> str:
    """A person's name as strangers may see it: 李**."""
    return name[:1] + "*" * max(1, len(name) - 1)


def _masked(value: str, head: int, tail: int) -> str:
    if len(value) <= head + tail:
        return "*" * len(value)
    return value[:head] + "*" * (len(value) - head - tail) + value[len(value) - tail :]


def _bound_to(name: str, field: str) -> bytes:
    return f"{PREFIX}{name}.{field}".encode()


def _hmac(key: bytes, content: bytes) -> bytes:
    return hmac.digest(key, content, hashlib.sha256)


def _base64url(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode("ascii")
