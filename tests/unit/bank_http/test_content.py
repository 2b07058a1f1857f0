"""What an instruction may say, by kind: its one spelling, and every place that is wrong (docs/bank-api.md)."""

import json
from datetime import date
from typing import Any

import pytest

from agents.runtime.sealing import Keyring
from bank import content
from bank.content import SEALED_FIELD, Instruction
from bank.execution import KINDS as EXECUTED
from bank.problems import Refusal
from config.bank import FEN_MAX, HOLDS_MAX
from config.keys import generate

TODAY = date(2025, 1, 31)
RING = Keyring.from_keys(generate())
NO = "7d9b1cf4-6c0e-4b51-9d1a-0f7f5c1d2e3a"
P = "11111111-2222-4333-8444-555555555555"
ACCOUNT = "6" + "0" * 17
PERSON: dict[str, Any] = {
    "member_id": P,
    "name": "王小明",
    "id_number": "11010519491231002X",
    "card_number": "6228480402564890018",
    "mobile": "13800000000",
}
PARTS = [{"custody_no": ACCOUNT, "amount_fen": 5}]
CONTENTS: dict[str, dict[str, Any]] = {
    "open_account": PERSON,
    "recharge": {"custody_no": ACCOUNT, "amount_fen": 1},
    "authorize": {"custody_no": ACCOUNT, "scope": "repay", "cap_fen": 100, "expires_on": "2026-01-31"},
    "establish_project": {"project_no": P, "custody_no": ACCOUNT, "amount_fen": 10_000},
    "hold": {"project_no": P, "custody_no": ACCOUNT, "amount_fen": 10_000},
    "release": {"hold_no": P},
    "confirm_loan": {"project_no": P, "count": 3, "sum_fen": 10_000},
    "close_project": {"project_no": P},
    "collect": {"project_no": P, "custody_no": ACCOUNT, "due_fen": 5, "valid_on": "2025-02-28"},
    "confirm_repayment": {"collect_no": P, "parts": PARTS, "fee_fen": 0},
}
BY_PAGE = {"open_account", "recharge", "authorize", "hold", "collect"}
DIRECT = {"establish_project", "hold", "release", "confirm_loan", "close_project", "collect", "confirm_repayment"}


def body(kind: str, page: Any = None, **changes: Any) -> dict[str, Any]:
    said = {"action": "instruct", "request_no": NO, "kind": kind, "page": kind in BY_PAGE if page is None else page}
    return {**said, "content": {**CONTENTS[kind], **changes}}


def read(kind: str, page: Any = None, **changes: Any) -> Instruction:
    return content.read(body(kind, page=page, **changes), RING, today=TODAY)


def wrong(said: dict[str, Any]) -> set[tuple[str, str]]:
    """Which places are refused, and with which code."""
    with pytest.raises(Refusal) as caught:
        content.read(said, RING, today=TODAY)
    assert (caught.value.code, caught.value.status) == ("invalid_content", 422)
    return {(fault.pointer or "", fault.code) for fault in caught.value.errors}


def test_every_kind_that_the_ledger_knows_can_be_put() -> None:
    assert set(CONTENTS) == set(content.KINDS) == set(EXECUTED)


@pytest.mark.parametrize("kind", CONTENTS)
@pytest.mark.parametrize("page", [True, False])
def test_each_kind_is_taken_the_ways_that_its_page_says(kind: str, page: bool) -> None:
    if kind in (BY_PAGE if page else DIRECT):
        made = read(kind, page=page)
        assert (made.request_no, made.kind, made.page) == (NO, kind, page)
    else:
        assert wrong(body(kind, page=page)) == {("/page", "wrong_way")}


@pytest.mark.parametrize("kind", [kind for kind in CONTENTS if kind != "open_account"])
def test_what_is_not_personal_is_kept_as_it_was_said(kind: str) -> None:
    made = read(kind)
    assert made.content == CONTENTS[kind] and made.sealed_content is None and made.person_lookup is None


def test_what_is_personal_is_sealed_and_only_its_end_is_shown() -> None:
    made = read("open_account")
    assert made.content == {"member_id": P, "card": "***************0018", "name_refused": False}
    assert made.sealed_content is not None and made.person_lookup == RING.lookup(PERSON["id_number"], field="id_number")
    said = json.loads(RING.open(made.sealed_content, field=SEALED_FIELD))
    assert said == {name: PERSON[name] for name in ("name", "id_number", "card_number", "mobile")}
    for value in said.values():
        assert value not in str(made.content) and value not in made.sealed_content


def test_a_name_on_the_banks_list_is_marked_and_not_refused_yet() -> None:
    assert read("open_account", name="拒绝开户").content["name_refused"] is True


def test_the_same_content_in_another_spelling_is_the_same() -> None:
    spelled = read("open_account", id_number="11010519491231002x", mobile="+86 138-0000-0000", card_number="6228 4804 0256 4890 018")
    assert (spelled.content_mac, spelled.person_lookup) == (read("open_account").content_mac, read("open_account").person_lookup)


@pytest.mark.parametrize("kind", CONTENTS)
def test_another_content_kind_or_way_has_another_mac(kind: str) -> None:
    macs = {read(kind).content_mac}
    for name, value in CONTENTS[kind].items():
        changed = {"amount_fen": 7, "cap_fen": 7, "sum_fen": 7, "due_fen": 7, "fee_fen": 7, "count": 7}.get(name)
        if changed is not None:
            macs.add(read(kind, **{name: changed}).content_mac)
        elif value == P:
            macs.add(read(kind, **{name: NO}).content_mac)
    if kind in BY_PAGE & DIRECT:
        macs.add(read(kind, page=False).content_mac)
    assert len(macs) > 1


@pytest.mark.parametrize("kind", CONTENTS)
def test_a_missing_and_an_unknown_field_are_named(kind: str) -> None:
    for name in CONTENTS[kind]:
        said = body(kind)
        del said["content"][name]
        assert wrong(said) == {(f"/content/{name}", "missing")}
    assert wrong(body(kind, surplus=1)) == {("/content/surplus", "unknown_field")}


def test_all_that_is_wrong_is_named_at_once_with_its_place() -> None:
    said = {"request_no": NO.upper(), "kind": "gift", "page": 1, "content": [], "x/y~": 0}
    assert wrong(said) == {
        ("/request_no", "not_an_id"), ("/kind", "unknown_word"), ("/page", "not_a_truth_value"), ("/content", "not_an_object"),
        ("/x~1y~0", "unknown_field"),
    }  # fmt: skip


AMOUNTS = [
    (kind, name)
    for kind, said in CONTENTS.items()
    for name in said
    if name.endswith("_fen") and (kind, name) != ("confirm_repayment", "fee_fen")
]


@pytest.mark.parametrize(("kind", "name"), AMOUNTS)
@pytest.mark.parametrize("value", [0, -1, FEN_MAX + 1, 1.0, "1", True, None, [1]])
def test_an_amount_is_a_whole_number_above_nothing(kind: str, name: str, value: object) -> None:
    ((place, _),) = wrong(body(kind, **{name: value}))
    assert place == f"/content/{name}"


@pytest.mark.parametrize("value", [1, FEN_MAX])
def test_an_amount_has_its_borders(value: int) -> None:
    assert read("recharge", amount_fen=value).content["amount_fen"] == value


@pytest.mark.parametrize("value", ["", "6", "5" + "0" * 17, "6" + "0" * 18, "６" + "0" * 17, 600000000000000000, None, f"{ACCOUNT}\n"])
def test_an_accounts_number_is_a_six_and_seventeen_digits(value: object) -> None:
    assert wrong(body("recharge", custody_no=value)) == {("/content/custody_no", "not_an_account")}


@pytest.mark.parametrize("value", ["2025-02-29", "2025-2-28", "20250228", "2025-02-28T00:00", "", None, 20250228])
def test_a_day_is_one_of_the_calendar(value: object) -> None:
    ((place, _),) = wrong(body("collect", valid_on=value))
    assert place == "/content/valid_on"


@pytest.mark.parametrize("scope", ["bid", "", "REPAY", None])
def test_only_repayments_are_authorized(scope: object) -> None:
    assert wrong(body("authorize", scope=scope)) == {("/content/scope", "unknown_word")}


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        ("id_number", "110105194912310021", "id_check_character"),
        ("id_number", "110101199002300014", "id_birth_date"),
        ("id_number", "110105491231002", "not_an_id_number"),
        ("card_number", "6222021234567890123", "bank_card_check_digit"),
        ("card_number", "0000000000000000", "not_a_bank_card"),
        ("mobile", "12800000000", "not_a_mobile"),
        ("name", "王", "too_short"),
        ("name", "王\u202e小明", "forbidden_character"),
        ("member_id", "me", "not_an_id"),
    ],
)
def test_a_person_is_described_as_everywhere(name: str, value: str, code: str) -> None:
    assert wrong(body("open_account", **{name: value})) == {(f"/content/{name}", code)}


@pytest.mark.parametrize(
    ("parts", "place"),
    [
        ([], ""),
        ({}, ""),
        ([{"custody_no": ACCOUNT}], "/0"),
        ([*PARTS, {"custody_no": ACCOUNT, "amount_fen": 1, "x": 1}], "/1"),
        ([*PARTS, {"custody_no": "6", "amount_fen": 1}], "/1/custody_no"),
        ([{"custody_no": ACCOUNT, "amount_fen": -1}], "/0/amount_fen"),
        (PARTS * (HOLDS_MAX + 1), ""),
    ],
)
def test_parts_are_an_account_and_an_amount_each(parts: object, place: str) -> None:
    ((found, _),) = wrong(body("confirm_repayment", parts=parts))
    assert found == f"/content/parts{place}"


def test_as_many_parts_as_a_loan_may_have_bids_are_taken() -> None:
    assert len(read("confirm_repayment", parts=PARTS * HOLDS_MAX, fee_fen=3).content["parts"]) == HOLDS_MAX


def test_a_query_a_close_and_a_balance_say_one_thing_and_no_more() -> None:
    assert content.request_no_of({"action": "query", "request_no": NO}) == NO
    assert content.custody_no_of({"action": "balance", "custody_no": ACCOUNT}) == ACCOUNT
    content.nothing_more({"action": "business-date"})
    for refused in (
        lambda: content.request_no_of({"action": "query"}),
        lambda: content.request_no_of({"action": "query", "request_no": NO, "x": 1}),
        lambda: content.request_no_of({"action": "query", "request_no": 7}),
        lambda: content.custody_no_of({"action": "balance", "custody_no": NO}),
        lambda: content.nothing_more({"action": "business-date", "x": None}),
    ):
        with pytest.raises(Refusal, match="invalid_content"):
            refused()


def test_a_refusal_repeats_no_value() -> None:
    with pytest.raises(Refusal) as caught:
        content.read(body("open_account", id_number="110105194912310021", card_number="6222021234567890123"), RING, today=TODAY)
    assert "1101" not in caught.value.document("x").model_dump_json() and "6222" not in caught.value.document("x").model_dump_json()
