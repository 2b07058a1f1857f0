"""Ids are made at the edge: the same key on the same route names the same thing, so that nothing must be kept (DESIGN 3)."""

import re
import uuid
from collections.abc import Sequence
from typing import Final

from agents.runtime.decision import derived_id
from agents.runtime.http.problems import Fault, Problem

HEADER: Final = "Idempotency-Key"
ANONYMOUS: Final = "anonymous"
NAMESPACE: Final = uuid.UUID("5c1f54a0-7f0e-4d5c-9a3e-1f7a6d3b2c88")  # ours, for ever: another one would make other ids of the same keys

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_QUOTED = re.compile(r'"([^"]*)"')


def anonymous_key(values: Sequence[str]) -> str:
    """The key of a request that nobody has signed in for, in lower case, from every value that the header had.

    An anonymous key must be a UUID: anything shorter could be guessed. The draft's quotes around it may stand. Raises Problem.
    """
    if not values:
        raise _wrong("missing_idempotency_key", "missing", f"Send the header {HEADER} with a new random UUID; a repeat sends the same one.")
    if len(values) > 1:
        raise _wrong("bad_idempotency_key", "repeated", f"The header {HEADER} stands more than once.")
    value = values[0].strip()
    key = (quoted[1] if (quoted := _QUOTED.fullmatch(value)) else value).lower()
    if not _UUID.fullmatch(key):
        raise _wrong("bad_idempotency_key", "not_a_uuid", f"The header {HEADER} must be a UUID of 36 characters.")
    return key


def thing_id(principal: str, route: str, key: str) -> str:
    """The id of what a POST creates: UUIDv5 of who asks, where, and under which key."""
    return str(uuid.uuid5(NAMESPACE, f"{principal}\n{route}\n{key}"))


def command_id(thing: str) -> str:
    """The message id of the command that creates a thing: a repeat of the request is a repeat of the message."""
    return derived_id(thing, "command")


def _wrong(code: str, fault: str, detail: str) -> Problem:
    return Problem(code, detail, (Fault(code=fault, detail=detail, header=HEADER),))
