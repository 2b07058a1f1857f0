"""Reading a request's fields: each is brought to its one spelling, and everything that is wrong is said at once, with its place."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable
from agents.runtime.http.problems import Fault, Problem

POINTER_CHARS_MAX: Final = 100  # of a key that somebody else has chosen

Fields = Mapping[str, Callable[[object], Any]]


def read(body: Any, fields: Fields, *, optional: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The canonical values of a JSON object that has these fields and no other. Raises Problem with every field that is wrong."""
    if not isinstance(body, dict):
        raise invalid([Fault(code="not_an_object", detail="the body is a JSON object", pointer="")])
    values: dict[str, Any] = {}
    wrong: list[Fault] = []
    for name, canonical_form in fields.items():
        if name not in body:
            if name not in optional:
                wrong.append(Fault(code="missing", detail=f"{name} is missing", pointer=f"/{name}"))
            continue
        try:
            values[name] = canonical_form(body[name])
        except Unacceptable as exc:
            wrong.append(Fault(code=exc.code, detail=exc.message, pointer=f"/{name}"))
    wrong += [Fault(code="unknown_field", detail="there is no such field", pointer=_pointer(name)) for name in body if name not in fields]
    if wrong:
        raise invalid(wrong)
    return values


def invalid(wrong: Sequence[Fault]) -> Problem:
    """The body has values that are not acceptable."""
    return Problem("invalid_body", "; ".join(f.detail for f in wrong[:3]) + ".", tuple(wrong))


def one_of(code: str, what: str, choices: Sequence[str]) -> Callable[[object], str]:
    """A field that is one of these words."""

    def chosen(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Unacceptable(code, f"{what} is one of {', '.join(choices)}")
        return value

    return chosen


def whole(what: str, least: int, most: int) -> Callable[[object], int]:
    """A field that is a whole number, from `least` to `most`."""

    def number(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unacceptable("not_an_integer", f"{what} is a whole number")
        if not least <= value <= most:
            raise Unacceptable("out_of_range", f"{what} is from {least} to {most}")
        return value

    return number


def text(chars_max: int) -> Callable[[object], str]:
    """A field that is one line of free text."""
    return lambda value: canonical.text(value, max_chars=chars_max)


def rate(value: object) -> str:
    """A rate in its one spelling: no zeros at its end."""
    plain = f"{canonical.rate(value):f}"
    return (plain.rstrip("0").rstrip(".") or "0") if "." in plain else plain


def day(value: object) -> str:
    """A business date."""
    return canonical.iso_date(value).isoformat()


amount = whole("an amount in fen", 1, canonical.AMOUNT_FEN_MAX)


def _pointer(name: str) -> str:
    short = name[:POINTER_CHARS_MAX]
    return f"/{short.replace('~', '~0').replace('/', '~1')}"
