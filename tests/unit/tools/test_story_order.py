"""How a story is put in order and drawn: causes before effects, gaps that add up, diagrams that no text can break."""

import itertools
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.record import Headers, Record
from tools.trace import as_json, diagram, step_rows
from tools.tracing import Step, Story, _relate, belongs, caused

NOON_MS = 1_795_568_361_844
TRACE = "e7f1c507-19f3-4c3c-a6f2-5b2676992491"


def a_step(message_id: str | None, causation: str | None = None, *, at_ms: int = NOON_MS, sender: str = "gateway", **changes: Any) -> Step:
    """One message of the story."""
    said: dict[str, Any] = {
        "type": f"type of {message_id}", "receiver": "users", "actor": TRACE, "effect": "handled", "topic": "users.commands",
        "partition": 0, "offset": 0, "said_ms": at_ms,
    } | changes  # fmt: skip
    return Step(at_ms=at_ms, sender=sender, message_id=message_id, causation=causation, **said)


def a_story(*steps: Step, waiting: list[dict[str, Any]] | None = None, states: list[dict[str, Any]] | None = None) -> Story:
    """A story that is told already."""
    return Story(TRACE, TRACE, list(steps), waiting or [], states or [])


@st.composite
def chains(draw: st.DrawFn) -> list[Step]:
    """Messages of which each is caused by an earlier one or by nobody, handled within few milliseconds."""
    steps: list[Step] = []
    for n in range(draw(st.integers(1, 9))):
        cause = draw(st.sampled_from([*steps, None])) if steps else None
        at_ms = (cause.at_ms if cause else NOON_MS) + draw(st.integers(0, 1))
        receiver = draw(st.sampled_from(["users", "accounts"]))
        timed = draw(st.booleans())
        sender = "timer" if timed else "gateway"
        steps.append(a_step(f"m{n}", cause.message_id if cause else None, at_ms=at_ms, sender=sender, receiver=receiver, offset=100 - n))
    return steps


@given(chains(), st.randoms(use_true_random=False))
def test_a_cause_always_comes_before_what_it_caused(steps: list[Step], chance: random.Random) -> None:
    chance.shuffle(steps)
    _relate(steps)
    place = {step.message_id: n for n, step in enumerate(steps)}
    assert all(place[step.causation] < n for n, step in enumerate(steps) if step.causation)
    assert [step.at_ms for step in steps] == sorted(step.at_ms for step in steps)


@given(chains(), st.randoms(use_true_random=False))
def test_the_order_in_which_steps_were_found_changes_nothing(steps: list[Step], chance: random.Random) -> None:
    again = [Step(**vars(step)) for step in steps]
    chance.shuffle(again)
    _relate(steps)
    _relate(again)
    assert steps == again


@given(chains())
def test_who_handled_the_cause_is_who_said_the_message(steps: list[Step]) -> None:
    by_id = {step.message_id: step for step in steps}
    timed = {step.message_id for step in steps if step.sender == "timer"}
    _relate(steps)
    for step in steps:
        if (cause := by_id.get(step.causation)) is not None:
            assert step.sender == (f"{cause.receiver} (timer)" if step.message_id in timed else cause.receiver)
        else:
            assert step.sender == ("timer" if step.message_id in timed else "gateway")


@given(chains())
def test_gaps_are_from_step_to_step_and_add_up_to_the_length_of_the_story(steps: list[Step]) -> None:
    _relate(steps)
    gaps = [row["gap_ms"] for row in step_rows(a_story(*steps))]
    assert gaps[0] is None
    assert gaps[1:] == [after.at_ms - before.at_ms for before, after in itertools.pairwise(steps)]
    assert sum(gaps[1:]) == steps[-1].at_ms - steps[0].at_ms


@given(chains())
def test_every_message_but_the_first_ones_is_named_once_by_its_cause(steps: list[Step]) -> None:
    said = [name for names in caused(steps).values() for name in names]
    assert sorted(said) == sorted(step.type or "?" for step in steps if step.causation)
    rows = {row["message_id"]: row["caused"] for row in step_rows(a_story(*steps))}
    assert {which: names for which, names in rows.items() if names} == dict(caused(steps))


LOOPS = [
    pytest.param([("a", "a")], id="its own cause"),
    pytest.param([("a", "b"), ("b", "a")], id="two that cause each other"),
    pytest.param([("a", "c"), ("b", "a"), ("c", "b")], id="a ring of three"),
    pytest.param([("a", "gone")], id="a cause that nobody has"),
    pytest.param([("a", None), ("a", None)], id="one id twice"),
    pytest.param([(None, None), (None, "a"), ("a", None)], id="steps without an id"),
]


@pytest.mark.parametrize("pairs", LOOPS)
def test_causes_that_make_no_sense_end_nothing_and_lose_no_step(pairs: list[tuple[str | None, str | None]]) -> None:
    steps = [a_step(which, cause, offset=n) for n, (which, cause) in enumerate(pairs)]
    _relate(steps)
    assert sorted(step.offset for step in steps) == list(range(len(pairs)))
    assert len(step_rows(a_story(*steps))) == len(pairs)


def test_a_message_that_is_its_own_cause_keeps_its_sender() -> None:
    step = a_step("a", "a", sender="gateway")
    _relate([step])
    assert (step.sender, dict(caused([step]))) == ("gateway", {})


@pytest.mark.parametrize(
    ("later", "first"),
    [
        pytest.param({"at_ms": NOON_MS + 1, "offset": 0}, {"at_ms": NOON_MS, "offset": 9}, id="by the time of handling"),
        pytest.param({"said_ms": 2, "offset": 0}, {"said_ms": 1, "offset": 9}, id="then by when it was said"),
        pytest.param({"said_ms": 0, "offset": 1}, {"said_ms": None, "offset": 0}, id="one that is gone has no time of its own"),
        pytest.param({"offset": 2}, {"offset": 1}, id="then by its place in the log"),
    ],
)
def test_steps_of_one_depth_are_in_order(later: dict[str, Any], first: dict[str, Any]) -> None:
    steps = [a_step("later", **later), a_step("first", **first)]
    _relate(steps)
    assert [step.message_id for step in steps] == ["first", "later"]


@pytest.mark.parametrize("odd_ms", [-1, 0, NOON_MS * 1000, 2**63 - 1])
def test_a_time_that_cannot_be_meant_is_its_number(odd_ms: int) -> None:
    (row,) = step_rows(a_story(a_step("a", at_ms=odd_ms)))
    assert (row["time"], row["at_ms"]) == (str(odd_ms), odd_ms)


def test_the_story_as_json_has_its_parts_in_order() -> None:
    told = as_json(a_story(a_step("a"), waiting=[{"kind": "timer"}], states=[{"thing": "member"}]))
    assert list(told) == ["id", "trace", "steps", "waiting", "states"]
    assert (told["waiting"], told["states"]) == ([{"kind": "timer"}], [{"thing": "member"}])


@pytest.mark.parametrize(
    ("headers", "key", "is_one"),
    [
        pytest.param((("trace-id", TRACE.encode()),), b"k", True, id="it says so"),
        pytest.param((("trace-id", b"other"),), TRACE.encode(), False, id="it says another, whatever its key"),
        pytest.param((), TRACE.encode(), True, id="it says nothing: its key"),
        pytest.param((), b"k", False, id="it says nothing and has another key"),
        pytest.param((), None, False, id="neither header nor key"),
        pytest.param((("trace-id", None),), TRACE.encode(), True, id="a null says nothing"),
        pytest.param((("trace-id", b"\xff"),), TRACE.encode(), True, id="bytes that are no text say nothing"),
        pytest.param((("trace-id", b"other"), ("trace-id", TRACE.encode())), b"k", False, id="the first one counts"),
        pytest.param((("Trace-Id", TRACE.encode()),), b"k", False, id="names have one spelling"),
        pytest.param((("trace-id", TRACE.upper().encode()),), b"k", False, id="ids have one spelling"),
    ],
)
def test_a_record_is_of_a_trace_when_it_says_so_or_else_by_its_key(headers: Headers, key: bytes | None, is_one: bool) -> None:
    assert belongs(Record("users.events", 0, 0, 0, 0, key, b"{}", headers), TRACE) is is_one


HOSTILE = [
    pytest.param("a;b", "a,b", id="a semicolon ends a statement"),
    pytest.param("#quot;x", "＃quot,x", id="a number sign begins an entity"),
    pytest.param("a\nparticipant evil", r"a\x0aparticipant evil", id="a newline begins a line"),
    pytest.param("a\r\nb", r"a\x0d\x0ab", id="a carriage return too"),
    pytest.param("a\u2028b", r"a\u2028b", id="a line separator too"),
    pytest.param("\x1b[2J", r"\x1b[2J", id="an escape"),
    pytest.param("a->>b: c", "a->>b: c", id="an arrow within a text is text"),
    pytest.param("林小明 🙂", "林小明 🙂", id="any script"),
]


@pytest.mark.parametrize(("text", "label"), HOSTILE)
def test_no_text_breaks_a_diagram(text: str, label: str) -> None:
    told = a_story(
        a_step("a", type=text, effect=text),
        waiting=[{"service": "users", "what": text}],
        states=[{"service": "users", "thing": "member", "state": text}],
    )
    assert diagram(told).split("\n") == [
        "sequenceDiagram",
        "    participant gateway",
        "    participant users",
        f"    gateway->>users: {label}",
        f"    Note over users: {label}",
        f"    Note over users: {label}",
        f"    Note over users: member {label}",
        "",
    ]


@pytest.mark.parametrize(
    ("name", "participant"),
    [
        ("users", "users"),
        ("users (timer)", "users"),
        ("users, accounts", "users"),
        ("?", "_"),
        ("", "unknown"),
        ("a->>b", "a___b"),
        ("a b;c", "a_b_c"),
        ("users.events", "users_events"),
    ],
)
def test_a_participant_is_one_word_whatever_its_name(name: str, participant: str) -> None:
    assert f"    participant {participant}" in diagram(a_story(a_step("a", sender=name))).splitlines()


@given(st.lists(st.tuples(st.text(max_size=8), st.text(max_size=8), st.text(max_size=12), st.text(max_size=12)), max_size=5))
def test_every_line_of_a_diagram_is_a_participant_an_arrow_or_a_note(said: list[tuple[str, str, str, str]]) -> None:
    steps = [a_step(f"m{n}", sender=s, receiver=r, type=t, effect=e) for n, (s, r, t, e) in enumerate(said)]
    first, *lines = diagram(a_story(*steps)).split("\n")[:-1]
    assert first == "sequenceDiagram"
    assert all(re.fullmatch(r"    (participant \w+|\w+->>\w+: [^;#]*|Note over \w+: [^;#]*)", line) for line in lines)
    assert sum("->>" in line.split(":")[0] for line in lines) == len(said)
    declared = {line.split()[1] for line in lines if line.startswith("    participant ")}
    assert {name for line in lines if "->>" in line.split(":")[0] for name in line.split(":")[0].strip().split("->>")} <= declared


def test_a_diagram_says_the_gaps_and_leaves_out_what_goes_without_saying() -> None:
    steps = [a_step("a"), a_step("b", at_ms=NOON_MS + 7, effect="on the bus"), a_step("c", at_ms=NOON_MS + 7, type=None, effect="lost")]
    assert [line.strip() for line in diagram(a_story(*steps)).splitlines()[3:]] == [
        "gateway->>users: type of a",
        "gateway->>users: type of b (+7 ms)",
        "gateway->>users: gone from the bus (+0 ms)",
        "Note over users: lost",
    ]


def test_what_waits_in_a_service_that_has_no_part_in_the_diagram_has_no_note() -> None:
    told = a_story(a_step("a"), waiting=[{"service": "accounts", "what": "timer"}])
    assert "Note" not in diagram(told)


@pytest.mark.parametrize(
    ("told", "empty"),
    [
        pytest.param(a_story(), True, id="nothing"),
        pytest.param(a_story(a_step("a")), False, id="a step"),
        pytest.param(a_story(waiting=[{}]), False, id="something waits"),
        pytest.param(a_story(states=[{}]), False, id="something stands"),
    ],
)
def test_a_story_is_empty_when_nobody_knows_of_the_id(told: Story, empty: bool) -> None:
    assert told.is_empty is empty
