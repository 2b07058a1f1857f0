"""What only the gateway says when it says no; what every server says stands in agents/runtime/http/problems.py."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from agents.runtime.http import problems
from agents.runtime.http.problems import Kind, Problem

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        **problems.KINDS,
        "not_signed_in": Kind(401, "Nobody is signed in"),
        "login_refused": Kind(401, "Name and password do not let anybody in"),
        "not_allowed": Kind(403, "This is not for you to do"),
        "refused": Kind(409, "The thing does not take this as it stands"),
        "login_name_taken": Kind(409, "The login name is taken"),
        "mobile_taken": Kind(409, "The mobile number is taken"),
        "registration_timed_out": Kind(409, "The registration was given up because it took too long"),
        "registration_cancelled": Kind(409, "The registration was cancelled"),
        "too_many_attempts": Kind(429, "Too many log-ins have failed"),
    }
)


class Refusal(Problem):
    """A problem with a code of the gateway's own."""

    kinds: ClassVar[Mapping[str, Kind]] = KINDS
