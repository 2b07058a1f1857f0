"""Signed requests between companies (Standard Webhooks, docs/bank-api.md): the exact bytes, fresh, by somebody who has the secret.

Strict where the library is lenient: a time stamp is plain ASCII seconds and at most five minutes off, either way; a header
stands once; the list of signatures is short and well formed. Whatever is wrong is one and the same refusal (CASES D16, D20, D21).
"""

import hmac
import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from multidict import CIMultiDictProxy
from standardwebhooks import Webhook

ID, TIMESTAMP, SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"
TOLERANCE_S: Final = 300
SIGNATURE_CHARS_MAX: Final = 4_096  # of the whole list: about eighty signatures

_ID = re.compile(r"[!-~]{1,200}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_SIGNATURES = re.compile(r"[a-z0-9]+,[A-Za-z0-9+/]+={0,2}(?: [a-z0-9]+,[A-Za-z0-9+/]+={0,2})*", re.ASCII)


class NotSigned(Exception):
    """These bytes are nobody's that we know; the reason is for our log, not for the sender."""


def verify(headers: CIMultiDictProxy[str], body: bytes, secrets: Iterable[str], *, now_s: float) -> str:
    """The `webhook-id` of a body that one of the secrets has signed. Raises NotSigned, never anything else."""
    identity = _once(headers, ID, _ID)
    seconds = int(_once(headers, TIMESTAMP, _SECONDS))
    if abs(now_s - seconds) > TOLERANCE_S:
        raise NotSigned(f"{TIMESTAMP} is {seconds - now_s:.0f} s off")
    listed = _once(headers, SIGNATURE, _SIGNATURES, SIGNATURE_CHARS_MAX).split(" ")
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        raise NotSigned("the body is not UTF-8") from None
    wanted = [signed(secret, identity, seconds, text).encode() for secret in secrets]
    fits = [hmac.compare_digest(given.encode(), each) for given in listed for each in wanted]  # every one, whatever the first says
    if not any(fits):
        raise NotSigned("no signature fits")
    return identity


def signed(secret: str, identity: str, seconds: int, text: str) -> str:
    """The signature `v1,…` of a text."""
    return Webhook(secret).sign(identity, datetime.fromtimestamp(seconds, UTC), text)


def headers_of(secret: str, identity: str, seconds: int, text: str) -> dict[str, str]:
    """The headers that a signed text is sent with."""
    return {ID: identity, TIMESTAMP: str(seconds), SIGNATURE: signed(secret, identity, seconds, text)}


def _once(headers: CIMultiDictProxy[str], name: str, form: re.Pattern[str], chars_max: int = 200) -> str:
    values = headers.getall(name, [])
    if len(values) != 1 or len(values[0]) > chars_max or not form.fullmatch(values[0]):
        raise NotSigned(f"{name} is missing, repeated or malformed")
    return values[0]
