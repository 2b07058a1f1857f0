"""What the bank says when it says no to a platform: the problems of every server of ours, and four of its own (docs/bank-api.md)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from agents.runtime.http.problems import KINDS, Kind, Problem

CODES: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        **KINDS,
        "not_signed": Kind(401, "This request is not signed as the bank asks for"),
        "unknown_account": Kind(404, "There is no such account"),
        "content_differs": Kind(409, "The request number belongs to another content"),
        "invalid_content": Kind(422, "The content is not acceptable"),
    }
)


class Refusal(Problem):
    """A problem of the bank's."""

    kinds: ClassVar[Mapping[str, Kind]] = CODES


def not_signed() -> Refusal:
    """The one answer to whatever is wrong with who asks: it says nothing about what."""
    return Refusal("not_signed", "Send an enrolled platform's name and its signature over exactly these bytes, made just now.")
