"""Bodies made of the schema and then spoilt: never a 5xx, and each place that is named is there, or would be (CASES D18)."""

import copy
import json
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.runtime.http.problems import FAULTS_MAX
from gateway import openapi
from gateway.fields import POINTER_CHARS_MAX
from tests.integration.gateway.described import Description
from tests.integration.gateway.world import Answer, Client, World

SCHEMA: Final = openapi.document()["components"]["schemas"]["RegistrationRequest"]
FIELDS: Final = list(SCHEMA["properties"])
GOOD: Final = {
    "login_name": st.from_regex(r"[a-z][a-z0-9_]{2,20}", fullmatch=True),
    "mobile": st.from_regex(r"1[3-9][0-9]{9}", fullmatch=True),
    "password": st.text(st.characters(categories=["L", "N", "P"]), min_size=8, max_size=30),
    "role": st.sampled_from(SCHEMA["properties"]["role"]["enum"]),
}
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
HUGE: Final = st.sampled_from(["x" * 5_000, "9" * 5_000, 10**300, ["[" * 40], "\u0300" * 2_000, "é" * 129])
LIVES: Final = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def spoilt(draw: st.DrawFn) -> dict[str, Any]:
    """A registration that is right by its schema, with one to four changes that make it wrong or not."""
    body: dict[str, Any] = {field: draw(values) for field, values in GOOD.items()}
    for _ in range(draw(st.integers(1, 4))):
        field = draw(st.sampled_from(FIELDS))
        match draw(st.sampled_from(["missing", "null", "type", "huge", "extra", "nested", "renamed"])):
            case "missing":
                body.pop(field, None)
            case "null":
                body[field] = None
            case "type":
                body[field] = draw(JSON_VALUES)
            case "huge":
                body[field] = draw(HUGE)
            case "extra":
                body[draw(st.text(st.sampled_from("~/01ab") | st.characters(exclude_categories=["Cs"]), max_size=130))] = draw(JSON_VALUES)
            case "nested":
                body[field] = copy.deepcopy(body)
            case "renamed":
                body[field.upper()] = body.pop(field, 1)
    return body


def names_a_place(pointer: str, body: Any) -> bool:
    """Whether a pointer leads to a place of the body, or its last step only is missing there."""
    at = body
    steps = [step.replace("~1", "/").replace("~0", "~") for step in pointer.split("/")[1:]]
    for number, step in enumerate(steps, 1):
        if isinstance(at, list) and step.isdigit() and int(step) < len(at):
            at = at[int(step)]
        elif isinstance(at, dict) and step in at:
            at = at[step]
        elif isinstance(at, dict) and number == len(steps):
            return step in FIELDS or any(key.startswith(step) and len(step) <= POINTER_CHARS_MAX < len(key) for key in at)
        else:
            return False
    return True


@pytest.fixture
async def quick(tmp_path: Path) -> Any:
    """A gateway that waits for nobody."""
    async with World(tmp_path, wait_ms=1) as world:
        yield await world.gateway()


def judged(answer: Answer) -> Answer:
    """Fail unless it is described and no failure of ours."""
    Description(openapi.document()).judge("register", answer)
    assert answer.status < 500
    return answer


@LIVES
@given(body=spoilt())
async def test_a_spoilt_body_is_taken_or_refused_at_its_places(quick: Client, body: dict[str, Any]) -> None:
    answer = judged(await quick.post(json.dumps(body).encode()))
    if answer.status == 202:
        assert set(body) == set(FIELDS) and all(isinstance(value, str) for value in body.values())
    else:
        assert answer.status in (400, 413, 422) and 1 <= len(answer.body["errors"]) <= FAULTS_MAX
        assert not [pointer for pointer in answer.pointers if not names_a_place(pointer, body)]


@LIVES
@given(body=spoilt())
async def test_a_missing_and_an_unknown_field_are_both_always_named(quick: Client, body: dict[str, Any]) -> None:
    plain = dict.fromkeys(body, "x")
    answer = judged(await quick.post(json.dumps(plain).encode()))
    assert answer.status == 422
    by_code = {(e["code"], e["pointer"]) for e in answer.body["errors"]}
    assert {p for c, p in by_code if c == "missing"} == {f"/{field}" for field in FIELDS if field not in body}
    assert len({p for c, p in by_code if c == "unknown_field"}) == len(set(plain) - set(FIELDS))


@LIVES
@given(body=spoilt(), secret=st.from_regex(r"[A-Za-z]{12,24}", fullmatch=True))
async def test_no_refusal_repeats_a_value(quick: Client, body: dict[str, Any], secret: str) -> None:
    marked = {key: f"\x01{secret}" if key in FIELDS else 1 for key in body}
    answer = judged(await quick.post(json.dumps(marked).encode()))
    assert answer.status == 422 and secret not in json.dumps(answer.body)


@LIVES
@given(body=spoilt(), data=st.data())
async def test_a_body_with_any_byte_changed_or_cut_off_is_never_a_failure_of_ours(
    quick: Client, body: dict[str, Any], data: st.DataObject
) -> None:
    whole = json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.sampled_from([b"", bytes([data.draw(st.integers(0, 255))]), b'"', b"\\u", b"\xff", b"NaN"]))
    changed += whole[at + 1 :] if data.draw(st.booleans()) else b""
    judged(await quick.post(changed))


@pytest.mark.parametrize("number", ["9223372036854775808", "1e400", "NaN", "100.0", "1e2", "0.1", "-0", '"\\ud800"'])
@pytest.mark.parametrize(("around", "pointer"), [
    ('{"a": {"b/c": [0, @]}}', "/a/b~1c/1"),
    ("[[@]]", "/0/0"),
    ('{"": @}', "/"),
    ('{"~1": @}', "/~01"),
    ("@", ""),
])  # fmt: skip
async def test_a_value_that_json_allows_and_we_do_not_is_pointed_at_wherever_it_stands(
    quick: Client, number: str, around: str, pointer: str
) -> None:
    answer = judged(await quick.post(around.replace("@", number).encode()))
    assert (answer.status, answer.pointers) == (422, {pointer})
