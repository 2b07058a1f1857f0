"""What an instruction says, brought to its one spelling, by kind (docs/bank-api.md). Pure: the keyring comes as an argument.

What is personal is taken out: it goes on sealed as a whole, is looked up by a keyed hash, and is compared in the content's.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from agents.runtime import canonical
from agents.runtime.canonical import Unacceptable
from agents.runtime.canonical_json import canonical_bytes
from agents.runtime.http.problems import Fault
from agents.runtime.sealing import Keyring, mask_bank_card
from bank.problems import Refusal
from config.bank import FEN_MAX, HOLDS_MAX, NAMES_REFUSED

SEALED_FIELD: Final = "sealed_content"
NAME_CHARS: Final = (2, 50)
_CUSTODY_NO = re.compile(r"6[0-9]{17}", re.ASCII)

Reader = Callable[[object], Any]


@dataclass(frozen=True, slots=True)
class Instruction:
    """An instruction in its one spelling: what the ledger may see, and what of it is sealed."""

    request_no: str
    kind: str
    page: bool
    content: Mapping[str, Any]
    sealed_content: str | None
    content_mac: str
    person_lookup: str | None


@dataclass(frozen=True, slots=True)
class _Kind:
    ways: tuple[bool, ...]  # by page, or not
    fields: Mapping[str, Reader]


def read(body: Mapping[str, Any], keyring: Keyring, *, today: date) -> Instruction:
    """The instruction of a body that is signed. Raises Refusal `invalid_content` with every place that is wrong."""
    said = _fields({name: value for name, value in body.items() if name != "action"}, _ENVELOPE, "")
    kind, page = said["kind"], said["page"]
    if page not in KINDS[kind].ways:
        raise _invalid([Fault(code="wrong_way", detail=f"{kind} is not done this way", pointer="/page")])
    # Whether a date of birth is in the past depends on the day.
    readers = {**KINDS[kind].fields, **({"id_number": _id_number(today)} if kind == "open_account" else {})}
    content = _fields(said["content"], readers, "/content")
    mac = keyring.mac(canonical_bytes({"kind": kind, "page": page, "content": content}))
    if kind != "open_account":
        return Instruction(said["request_no"], kind, page, content, None, mac, None)
    personal = {name: content[name] for name in ("name", "id_number", "card_number", "mobile")}
    shown = {
        "member_id": content["member_id"],
        "card": mask_bank_card(content["card_number"]),
        "name_refused": content["name"] in NAMES_REFUSED,
    }
    sealed = keyring.seal(canonical_bytes(personal).decode(), field=SEALED_FIELD)
    lookup = keyring.lookup(content["id_number"], field="id_number")
    return Instruction(said["request_no"], kind, page, shown, sealed, mac, lookup)


def request_no_of(body: Mapping[str, Any]) -> str:
    """The number that a query or a close is about. Raises Refusal."""
    return str(
        _fields({name: value for name, value in body.items() if name != "action"}, {"request_no": canonical.uuid_text}, "")["request_no"]
    )


def custody_no_of(body: Mapping[str, Any]) -> str:
    """The account that a balance is asked of. Raises Refusal."""
    return str(_fields({name: value for name, value in body.items() if name != "action"}, {"custody_no": custody_no}, "")["custody_no"])


def nothing_more(body: Mapping[str, Any]) -> None:
    """Raise Refusal for a body with more than its action."""
    _fields({name: value for name, value in body.items() if name != "action"}, {}, "")


def custody_no(value: object) -> str:
    """The number of an account: `6` and 17 digits."""
    if not isinstance(value, str) or not _CUSTODY_NO.fullmatch(value):
        raise Unacceptable("not_an_account", "an account's number is 6 and 17 digits")
    return value


def _fields(value: object, readers: Mapping[str, Reader], place: str) -> dict[str, Any]:
    """Exactly these fields, each in its one spelling. Raises Refusal with all that is wrong."""
    if not isinstance(value, dict):
        raise _invalid([Fault(code="not_an_object", detail="an object is expected", pointer=place)])
    wrong = [Fault(code="unknown_field", detail="there is no such field", pointer=f"{place}/{_escaped(n)}") for n in value.keys() - readers]
    wrong += [Fault(code="missing", detail="this field is missing", pointer=f"{place}/{name}") for name in readers if name not in value]
    read_: dict[str, Any] = {}
    for name in readers.keys() & value.keys():
        try:
            read_[name] = readers[name](value[name])
        except Unacceptable as exc:
            wrong.append(Fault(code=exc.code, detail=exc.message, pointer=f"{place}/{name}{exc.pointer or ''}"))
    if wrong:
        raise _invalid(sorted(wrong, key=lambda fault: fault.pointer or ""))
    return read_


def _invalid(faults: list[Fault]) -> Refusal:
    return Refusal("invalid_content", "The content has values that are not acceptable; no row is kept.", faults)


def _escaped(name: str) -> str:
    return name[:100].replace("~", "~0").replace("/", "~1")


def _whole(least: int, most: int) -> Reader:
    def read_(value: object) -> int:
        if not isinstance(value, int) or isinstance(value, bool):
            raise Unacceptable("not_an_integer", "a whole number is expected")
        if not least <= value <= most:
            raise Unacceptable("out_of_range", f"a whole number from {least} to {most} is expected")
        return value

    return read_


def _one_of(*words: str) -> Reader:
    def read_(value: object) -> str:
        if not isinstance(value, str) or value not in words:
            raise Unacceptable("unknown_word", f"one of {', '.join(words)} is expected")
        return value

    return read_


def _bool(value: object) -> bool:
    if not isinstance(value, bool):
        raise Unacceptable("not_a_truth_value", "true or false is expected")
    return value


def _object(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unacceptable("not_an_object", "an object is expected")
    return value


def _name(value: object) -> str:
    least, most = NAME_CHARS
    return canonical.text(value, min_chars=least, max_chars=most)


def _day(value: object) -> str:
    return canonical.iso_date(value).isoformat()


def _id_number(today: date) -> Reader:
    return lambda value: canonical.id_number(value, today=today)


def _parts(value: object) -> list[dict[str, Any]]:
    if not isinstance(value, list) or not 1 <= len(value) <= HOLDS_MAX:
        raise Unacceptable("not_a_list", f"a list of 1 to {HOLDS_MAX} parts is expected")
    readers: dict[str, Reader] = {"custody_no": custody_no, "amount_fen": _NOTHING_OR_FEN}
    for at, part in enumerate(value):
        if not isinstance(part, dict) or part.keys() != readers.keys():
            raise Unacceptable("not_a_part", "a part has custody_no and amount_fen", f"/{at}")
        for name, reader in readers.items():
            try:
                reader(part[name])
            except Unacceptable as exc:
                raise Unacceptable(exc.code, exc.message, f"/{at}/{name}") from None
    return value


_FEN: Final = _whole(1, FEN_MAX)
_NOTHING_OR_FEN: Final = _whole(0, FEN_MAX)
_UUID: Final = canonical.uuid_text
_PAGE, _DIRECT = True, False

KINDS: Final[Mapping[str, _Kind]] = {
    "open_account": _Kind(
        (_PAGE,),
        {"member_id": _UUID, "name": _name, "card_number": canonical.bank_card, "mobile": canonical.mobile},  # and the id_number
    ),
    "recharge": _Kind((_PAGE,), {"custody_no": custody_no, "amount_fen": _FEN}),
    "authorize": _Kind((_PAGE,), {"custody_no": custody_no, "scope": _one_of("repay"), "cap_fen": _FEN, "expires_on": _day}),
    "establish_project": _Kind((_DIRECT,), {"project_no": _UUID, "custody_no": custody_no, "amount_fen": _FEN}),
    "hold": _Kind((_PAGE, _DIRECT), {"project_no": _UUID, "custody_no": custody_no, "amount_fen": _FEN}),
    "release": _Kind((_DIRECT,), {"hold_no": _UUID}),
    "confirm_loan": _Kind((_DIRECT,), {"project_no": _UUID, "count": _whole(1, HOLDS_MAX), "sum_fen": _FEN}),
    "close_project": _Kind((_DIRECT,), {"project_no": _UUID}),
    "collect": _Kind((_PAGE, _DIRECT), {"project_no": _UUID, "custody_no": custody_no, "due_fen": _FEN, "valid_on": _day}),
    "confirm_repayment": _Kind((_DIRECT,), {"collect_no": _UUID, "parts": _parts, "fee_fen": _NOTHING_OR_FEN}),
}
_ENVELOPE: Final[Mapping[str, Reader]] = {"request_no": _UUID, "kind": _one_of(*KINDS), "page": _bool, "content": _object}
