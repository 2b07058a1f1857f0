"""Any body on any POST of a signed-in person: taken, or refused at places that are there; never a failure of ours (CASES D18)."""

import copy
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agents.runtime.http.problems import FAULTS_MAX
from gateway import openapi
from gateway.table import OPERATIONS
from tests.integration.gateway.described import Description
from tests.integration.gateway.stage import BODIES, Stage, staged
from tests.integration.gateway.world import Answer, ScriptedUsers

POSTS: Final = sorted(operation.name for operation in OPERATIONS if operation.keyed and operation.permission)
DESCRIPTION: Final = Description(openapi.document())
JSON_VALUES: Final = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
HUGE: Final = st.sampled_from(["x" * 5_000, "9" * 5_000, 10**300, ["[" * 40], "\u0300" * 2_000, "é" * 129, -1, 0, "0.1", "2026-02-30"])
LIVES: Final = settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


@st.composite
def spoilt(draw: st.DrawFn, good: dict[str, Any]) -> dict[str, Any]:
    """A body that is right, with one to three changes that make it wrong or not."""
    body = copy.deepcopy(good)
    for _ in range(draw(st.integers(1, 3))):
        field = draw(st.sampled_from([*good, "reason", "id"]))
        match draw(st.sampled_from(["missing", "value", "huge", "extra", "nested"])):
            case "missing":
                body.pop(field, None)
            case "value":
                body[field] = draw(JSON_VALUES)
            case "huge":
                body[field] = draw(HUGE)
            case "extra":
                body[draw(st.text(st.sampled_from("~/01ab") | st.characters(exclude_categories=["Cs"]), max_size=130))] = draw(JSON_VALUES)
            case "nested":
                body[field] = copy.deepcopy(good)
    return body


def judged(operation: str, answer: Answer) -> Answer:
    """Fail unless it is described and no failure of ours."""
    DESCRIPTION.judge(operation, answer)
    assert answer.status < 500, answer
    return answer


@pytest.fixture
async def quick(tmp_path: Path, templates: Path, users: ScriptedUsers, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    async with staged(tmp_path, templates, users, monkeypatch, work_s_max=20.0) as made:
        yield made


@pytest.mark.parametrize("operation", POSTS)
@LIVES
@given(data=st.data())
async def test_a_spoilt_body_is_taken_or_refused_at_its_places(quick: Stage, operation: str, data: st.DataObject) -> None:
    body = data.draw(spoilt(BODIES[operation]))
    answer = judged(operation, await quick.posted(operation, body))
    if answer.status >= 400 and answer.code in ("invalid_body", "malformed_body"):
        assert 1 <= len(answer.body["errors"]) <= FAULTS_MAX
        assert all(pointer is not None for pointer in answer.pointers)
    else:
        assert answer.status in (201, 202, 200, 409) or answer.code == "idempotency_key_reused"
        assert set(body) <= {*BODIES[operation], "reason"}


@pytest.mark.parametrize("operation", POSTS)
@LIVES
@given(data=st.data())
async def test_a_body_with_any_byte_changed_or_cut_off_is_never_a_failure_of_ours(
    quick: Stage, operation: str, data: st.DataObject
) -> None:
    whole = json.dumps(BODIES[operation], ensure_ascii=False).encode()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = whole[:at] + data.draw(st.sampled_from([b"", b'"', b"\\u", b"\xff", b"NaN", b"1e9", b"\x00"]))
    changed += whole[at + 1 :] if data.draw(st.booleans()) else b""
    judged(operation, await quick.posted(operation, raw=changed))


@pytest.mark.parametrize("operation", POSTS)
async def test_no_refusal_repeats_a_value(quick: Stage, operation: str) -> None:
    secret = "a_secret_of_somebody"
    answer = judged(operation, await quick.posted(operation, {**dict.fromkeys(BODIES[operation], f"\x01{secret}"), "more": secret}))
    assert answer.status == 422 and secret not in json.dumps(answer.body)
