"""One line of `lendbus calc`: every operation, the border of every limit, and nonsense of every kind (MONEY 5; M6, M7)."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.repayments.schedule import Method
from tools import calculator
from tools.calculator import LINE_BYTES_MAX, OPERATIONS, SHARES_MAX, answer

PLAN = {
    "op": "plan",
    "method": "equal_installment",
    "principal_fen": 1_000_000,
    "annual_rate": "0.15",
    "months": 12,
    "start_date": "2025-01-31",
}
LOAN_SPLIT = {**PLAN, "op": "loan_split", "annual_rate": "0.12", "investor_rate": "0.1", "bids_fen": [500_000, 300_000, 200_000]}
VALID: dict[str, dict[str, Any]] = {
    "plan": PLAN,
    "split": {"op": "split", "total_fen": 100, "weights": [1, 1, 1]},
    "loan_split": LOAN_SPLIT,
    "penalty": {"op": "penalty", "overdue_fen": 88_849, "overdue_days": 35, "rate_1_30": "0.0005", "rate_31_plus": "0.0007"},
    "broken_period": {
        "op": "broken_period",
        "principal_fen": 10_000_000,
        "annual_rate": "0.07",
        "from_date": "2023-12-31",
        "to_date": "2024-03-01",
    },
    "due_dates": {"op": "due_dates", "start_date": "2024-01-31", "months": 13},
    "apr": {
        "op": "apr",
        "method": "equal_installment",
        "principal_fen": 1_000_000,
        "annual_rate": "0.12",
        "months": 12,
        "fee_upfront_fen": 0,
        "fee_monthly_fen": 0,
    },
}
FIELDS = [(op, field) for op, question in VALID.items() for field in question if field != "op"]


def ask(question: Mapping[str, Any], **changed: Any) -> dict[str, Any]:
    """The answer to a question, some fields changed."""
    return answer(json.dumps({**question, **changed}).encode())


def refused(said: Mapping[str, Any], code: str, field: str | None) -> None:
    """It is an error with this code that names this field."""
    assert set(said) == {"error", "field", "message"}
    assert (said["error"], said["field"]) == (code, field)
    assert len(said["message"]) > 10


def test_a_plan_has_its_rows_and_its_sums() -> None:
    said = ask(PLAN, principal_fen=100_000, annual_rate="0.09", months=6)
    assert list(said) == ["instalment_fen", "periods", "sum_principal_fen", "sum_interest_fen", "sum_total_fen"]
    assert said["instalment_fen"] == 17_107
    assert said["periods"][0] == {
        "n": 1,
        "due_date": "2025-02-28",
        "principal_fen": 16_357,
        "interest_fen": 750,
        "total_fen": 17_107,
        "balance_fen": 83_643,
    }
    assert said["periods"][-1]["balance_fen"] == 0
    assert (said["sum_principal_fen"], said["sum_interest_fen"], said["sum_total_fen"]) == (100_000, 2_641, 102_641)


@pytest.mark.parametrize("method", ["equal_principal", "interest_only", "bullet"])
def test_only_equal_instalments_have_an_instalment(method: str) -> None:
    assert ask(PLAN, method=method)["instalment_fen"] is None


def test_a_bullet_is_one_period_that_is_due_at_its_month() -> None:
    (only,) = ask(PLAN, method="bullet")["periods"]
    assert (only["n"], only["due_date"], only["total_fen"]) == (1, "2026-01-31", 1_150_000)


def test_a_loan_split_has_claims_in_the_order_of_the_bids_and_the_fee() -> None:
    first = ask(LOAN_SPLIT)["periods"][0]
    assert first == {"n": 1, "principal_fen": (39_424, 23_655, 15_770), "interest_fen": (4_166, 2_500, 1_667), "platform_fee_fen": 1_667}


@pytest.mark.parametrize(
    ("op", "said"),
    [
        ("split", {"shares": (34, 33, 33)}),
        ("penalty", {"penalty_fen": 1_644}),
        ("broken_period", {"days": 61, "interest_fen": 116_986}),
        ("apr", {"monthly_irr": "0.0100000955", "nominal_apr": "0.12000115", "effective_annual": "0.12682631"}),
    ],
)
def test_the_other_operations_answer_with_their_fields(op: str, said: Mapping[str, Any]) -> None:
    assert ask(VALID[op]) == said


def test_due_dates_are_counted_from_the_start() -> None:
    dates = ask(VALID["due_dates"])["due_dates"]
    assert dates[:3] == ["2024-02-29", "2024-03-31", "2024-04-30"]
    assert (len(dates), dates[-1]) == (13, "2025-02-28")


def test_every_operation_is_asked_here() -> None:
    assert set(VALID) == set(OPERATIONS)
    assert all("error" not in ask(question) for question in VALID.values())


@pytest.mark.parametrize(("op", "field"), FIELDS)
def test_a_missing_field_is_named(op: str, field: str) -> None:
    refused(answer(json.dumps({name: value for name, value in VALID[op].items() if name != field}).encode()), "missing_field", field)


@pytest.mark.parametrize("op", VALID)
def test_an_unknown_field_is_named_whatever_it_is_called(op: str) -> None:
    for name in ("surplus", "Months", "", "op ", "月"):
        refused(ask(VALID[op], **{name: 1}), "unknown_field", name or None)


@pytest.mark.parametrize("value", [None, True, False, 1.5, 1.0, [], {}, [[1]], "", "x", " 1", -1], ids=repr)
@pytest.mark.parametrize(("op", "field"), FIELDS)
def test_no_field_takes_what_it_does_not_mean(op: str, field: str, value: Any) -> None:
    said = ask(VALID[op], **{field: value})
    assert said["error"] and said["field"].split("/")[0] == field


@pytest.mark.parametrize(("op", "field"), FIELDS)
def test_no_field_takes_a_number_that_is_no_integer_of_json(op: str, field: str) -> None:
    for text in ("1.0", "1e3", "1E2", "NaN", "Infinity", "-Infinity", "-0", "9" * 5_000, "9223372036854775808"):
        line = json.dumps({**VALID[op], field: "@"}).replace('"@"', text)
        said = answer(line.encode())
        assert said["error"] in ("not_an_integer", "not_a_number", "integer_too_large")
        assert said["field"] == field


BORDERS: list[tuple[str, str, list[Any], list[Any]]] = [
    ("plan", "principal_fen", [1, 10**15], [0, -1, 10**15 + 1]),
    ("plan", "months", [1, 600], [0, -1, 601]),
    ("plan", "annual_rate", ["0", "10", "10.000", "00.15", "0." + "1" * 29], ["10.0000001", "11", "0." + "1" * 30, "1" * 31]),
    ("plan", "start_date", ["1900-01-01", "2199-12-31", "2024-02-29"], ["1899-12-31", "2200-01-01", "0000-01-01", "9999-12-31"]),
    ("due_dates", "start_date", ["1900-01-01", "2199-12-31"], ["1899-12-31", "2200-01-01"]),
    ("due_dates", "months", [1, 600], [0, 601]),
    ("broken_period", "principal_fen", [1, 10**15], [0, 10**15 + 1]),
    ("broken_period", "from_date", ["1900-01-01", "2024-03-01"], ["1899-12-31"]),
    ("broken_period", "to_date", ["2023-12-31", "2199-12-31"], ["2023-12-30", "2200-01-01"]),
    ("split", "total_fen", [0, 1, 2**63 - 1], [-1, 2**63]),
    ("split", "weights", [[1], [0, 1], [2**63 - 1] * 3], [[], [0, 0], [-1, 2]]),
    ("penalty", "overdue_fen", [0, 10**15, 2**63 - 1], [-1]),
    ("penalty", "overdue_days", [0, 30, 31, 10**6], [-1]),
    ("penalty", "rate_1_30", ["0", "10"], ["10.1"]),
    ("penalty", "rate_31_plus", ["0", "10"], ["10.1"]),
    ("apr", "principal_fen", [10_000, 10**15], [0, 10**15 + 1]),
    ("apr", "months", [1, 600], [0, 601]),
    ("apr", "fee_upfront_fen", [0, 999_999], [-1, 1_000_000]),
    ("apr", "fee_monthly_fen", [0, 10**15], [-1]),
    ("loan_split", "investor_rate", ["0", "0.12", "0.1200"], ["0.1200000001", "10.1"]),
    ("loan_split", "bids_fen", [[1_000_000], [0, 1_000_000]], [[], [999_999], [1_000_001], [1_000_001, -1]]),
    ("loan_split", "months", [1, 600], [0, 601]),
]


@pytest.mark.parametrize(("op", "field", "good", "bad"), BORDERS, ids=[f"{op} {field}" for op, field, *_ in BORDERS])
def test_limits_are_inclusive_and_what_is_beyond_names_the_field(op: str, field: str, good: list[Any], bad: list[Any]) -> None:
    method = {"method": "bullet"} if field == "months" and "method" in VALID[op] else {}  # which can always be shown
    for value in good:
        assert "error" not in ask(VALID[op], **method, **{field: value}), value
    for value in bad:
        said = ask(VALID[op], **{field: value})
        assert said.get("field", "").split("/")[0] == field, value


def test_nothing_may_be_split_among_nobody() -> None:
    assert ask(VALID["split"], total_fen=0, weights=[0, 0]) == {"shares": (0, 0)}
    assert ask(VALID["split"], total_fen=0, weights=[]) == {"shares": ()}
    refused(ask(VALID["split"], weights=[0, 0]), "no_weight", "weights")


def test_a_wrong_item_of_a_list_is_named_with_its_place() -> None:
    refused(ask(VALID["split"], weights=[1, True, 3]), "not_an_integer", "weights/1")
    refused(ask(VALID["split"], weights=[1, 2, -3]), "out_of_range", "weights/2")
    refused(ask(VALID["split"], weights=[1.5]), "not_an_integer", "weights/0")


def test_bids_that_do_not_add_up_and_a_rate_above_the_borrowers_are_said() -> None:
    refused(ask(LOAN_SPLIT, bids_fen=[500_000]), "sum_of_bids", "bids_fen")
    refused(ask(LOAN_SPLIT, investor_rate="0.13"), "out_of_range", "investor_rate")


def test_an_answer_that_no_memory_holds_is_refused() -> None:
    bids = [1] * (SHARES_MAX // 600 + 1)
    refused(ask(LOAN_SPLIT, bids_fen=bids, principal_fen=len(bids), months=600), "too_large", "bids_fen")


@pytest.mark.parametrize("op", ["plan", "loan_split", "apr"])
def test_a_schedule_that_cannot_be_shown_names_its_row(op: str) -> None:
    rates = {"annual_rate": "0"} | ({"investor_rate": "0", "bids_fen": [300]} if op == "loan_split" else {})
    said = ask(VALID[op], principal_fen=300, months=600, **rates)
    refused(said, "schedule_not_representable", None)
    assert "row 301 of 600" in said["message"]


@pytest.mark.parametrize(
    "day", ["20240131", "2024-W05-3", "2024-1-31", "2024-01-31T00:00:00", "２０２４-01-31", "2023-02-29", "2024-01-31\n"]
)
@pytest.mark.parametrize(("op", "field"), [(op, field) for op, field in FIELDS if field.endswith("_date")])
def test_only_four_two_two_is_a_date(op: str, field: str, day: str) -> None:
    refused(ask(VALID[op], **{field: day}), "not_a_date", field)


@pytest.mark.parametrize(
    "rate",
    ["0.1_2", "12%", "", " 0.12", "0.12 ", "٠.١", "０.１", "NaN", "Infinity", "-0.01", "+0.1", "1e-2", "0.1.2", ".", "0,1", "0x1", "1/8"],
)
def test_only_digits_with_one_point_are_a_rate(rate: str) -> None:
    refused(ask(PLAN, annual_rate=rate), "not_a_rate", "annual_rate")


@pytest.mark.parametrize("method", ["EQUAL_INSTALLMENT", "equal-installment", "", "等额本息", None, 1, ["bullet"], {}], ids=repr)
def test_only_the_four_methods_are_methods(method: Any) -> None:
    refused(ask(PLAN, method=method), "unknown_method", "method")


@pytest.mark.parametrize("op", ["PLAN", "", "plan ", None, 1, True, [], {}, ["plan"]], ids=repr)
def test_only_the_operations_are_operations(op: Any) -> None:
    refused(answer(json.dumps({"op": op}).encode()), "unknown_op", "op")


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"", "not_json"),
        (b"   ", "not_json"),
        (b"plan", "not_json"),
        (b"{", "not_json"),
        (b"{}{}", "not_json"),
        (b'{"op":"split",}', "not_json"),
        (b"{'op':'split'}", "not_json"),
        (b"\x00", "not_json"),
        (b'{"op":"split\x00"}', "not_json"),
        (b'{"op":"\xff"}', "not_utf8"),
        (b"\xc0\x80", "not_utf8"),
        (b"\xff\xfe{\x00}\x00", "not_utf8"),
        (b"\xef\xbb\xbf{}", "byte_order_mark"),
        (b"[" * 1_000_000, "too_deep"),
        (b'{"a":' * 1_000_000, "too_deep"),
        (b'{"op":"plan","op":"plan"}', "duplicate_key"),
        (b'{"op":"split","total_fen":1,"total_fen":1,"weights":[1]}', "duplicate_key"),
        (b'{"op":"\\ud800"}', "lone_surrogate"),
        (b" " * (LINE_BYTES_MAX + 1), "too_large"),
        (b"[]", "not_an_object"),
        (b'"plan"', "not_an_object"),
        (b"null", "not_an_object"),
        (b"1", "not_an_object"),
        (b"NaN", "not_a_number"),
        (b"{}", "missing_field"),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_whatever_a_line_holds_has_one_answer(line: bytes, code: str) -> None:
    assert answer(line)["error"] == code


@given(st.binary(max_size=200))
def test_any_bytes_are_answered(line: bytes) -> None:
    assert "error" in answer(line)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**20), 10**20) | st.floats() | st.text(max_size=6) | st.sampled_from(["0.1", "2024-01-31"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


@given(st.sampled_from(FIELDS), json_values)
@settings(max_examples=300)
def test_any_value_in_any_field_is_answered_by_something_that_can_be_written(of: tuple[str, str], value: Any) -> None:
    op, field = of
    said = ask(VALID[op], **{field: value})
    assert json.loads(json.dumps(said)).keys() == said.keys()


@given(st.dictionaries(st.sampled_from([field for _, field in FIELDS]), json_values), st.sampled_from([*VALID, "x"]))
def test_any_object_is_answered(fields: dict[str, Any], op: str) -> None:
    assert ask(fields, op=op)


def test_no_answer_repeats_what_somebody_sent_but_the_name_of_his_field() -> None:
    assert "hunter2" not in json.dumps([ask(PLAN, annual_rate="hunter2"), ask(PLAN, method="hunter2"), ask({"op": "hunter2"})])


@pytest.mark.parametrize("method", Method)
def test_the_largest_questions_are_answered_exactly(method: str) -> None:
    largest = {"method": method, "principal_fen": 10**15, "annual_rate": "10", "months": 600, "start_date": "2199-12-31"}
    said = ask(PLAN, **largest)
    assert said["sum_principal_fen"] == 10**15
    assert said["periods"][-1]["due_date"] == "2249-12-31"
    assert ask(VALID["apr"], method=method, principal_fen=10**15, annual_rate="10", months=600)["monthly_irr"]


def test_a_penalty_beyond_64_bits_is_still_whole() -> None:
    most = 2**63 - 1
    assert ask(VALID["penalty"], overdue_fen=most, overdue_days=most, rate_1_30="10", rate_31_plus="10") == {
        "penalty_fen": most * most * 10
    }


def test_the_page_about_it_names_every_operation_field_and_code() -> None:
    page = (Path(__file__).parents[3] / "docs" / "calc.md").read_text()
    source = Path(calculator.__file__).read_text()
    codes = {*re.findall(r'Unacceptable\(\s*"(\w+)"', source), "schedule_not_representable", "duplicate_key", "not_json", "too_deep"}
    named = {name for operation in OPERATIONS.values() for name in operation.fields} | set(OPERATIONS) | codes
    assert [name for name in sorted(named) if f"`{name}`" not in page] == []
