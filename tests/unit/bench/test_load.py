"""What is measured with: messages of one length, numbered per actor, and a service whose counting a reader can check by hand."""

import collections
import dataclasses
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agents.runtime.decision import Context
from agents.runtime.envelope import CAUSATION, MESSAGE_ID, TRACE, decode
from bus.record import Outgoing, Record, unpack_headers
from tools.bench import service
from tools.bench.load import VALUE_BYTES, chunks, message, messages
from tools.bench.place import here
from tools.bench.service import COUNTERS, END, FIRST, SECOND, Count, Counted, Counter, CountOn
from tools.soak.stage import REJECTED, TOO_BIG, prepare, troubled

FEW = settings(max_examples=40)
CONTEXT = Context("a", "m", 0)


def a_record(row: Outgoing) -> Record:
    return Record(row.topic, 0, 0, row.timestamp_ms, row.timestamp_ms, row.key, row.value, row.headers)


@pytest.mark.parametrize("seq", [0, 9, 10, 99, 100, 12_345, 999_999, 10**12, 2**63 - 1])
def test_a_message_has_191_bytes_however_long_its_number_is(seq: int) -> None:
    row = message("actor", seq, 5)
    assert row.value is not None and len(row.value) == VALUE_BYTES == 191
    assert orjson.loads(row.value)["seq"] == seq


@FEW
@given(st.integers(0, 60), st.integers(1, 9), st.integers(0, 1_000))
def test_messages_go_to_every_actor_in_turn_and_are_numbered_per_actor(count: int, actors: int, start: int) -> None:
    rows = messages(count, actors, start=start)
    assert len(rows) == count
    numbers: dict[bytes | None, list[int]] = collections.defaultdict(list)
    for row in rows:
        numbers[row.key].append(orjson.loads(row.value or b"")["seq"])
        assert len(row.value or b"") == VALUE_BYTES
    assert len(numbers) == min(count, actors)
    assert all(each == list(range(start, start + len(each))) for each in numbers.values())
    assert max(map(len, numbers.values()), default=0) - min(map(len, numbers.values()), default=0) <= 1


def test_every_message_is_its_own_cause_and_its_trace_is_its_actor() -> None:
    for row in messages(20, 3):
        headers = dict(row.headers)
        assert headers[MESSAGE_ID] == headers[CAUSATION]
        assert headers[TRACE] == row.key
    assert len({dict(row.headers)[MESSAGE_ID] for row in messages(20, 3)}) == 20


def test_a_message_is_one_that_the_first_stage_reads() -> None:
    row = message("actor", 7, 1_764_000_000_000)
    read = decode(a_record(row), {Count.type: Count})
    assert (read.actor, read.sent_ms, read.principal) == ("actor", 1_764_000_000_000, "bench")
    assert isinstance(read.message, Count) and read.message.seq == 7
    assert row.packed is not None and unpack_headers(row.packed) == row.headers


@FEW
@given(st.integers(0, 40), st.integers(1, 15))
def test_pieces_are_as_large_as_they_may_be_and_together_everything(count: int, size: int) -> None:
    rows = messages(count, 3)
    pieces = chunks(rows, size)
    assert [row for piece in pieces for row in piece] == rows
    assert all(len(piece) == size for piece in pieces[:-1])
    assert all(0 < len(piece) <= size for piece in pieces)


@pytest.mark.parametrize(
    ("stage", "heard", "said"),
    [
        pytest.param(service.first, Count, CountOn, id="the first stage says it on to the second"),
        pytest.param(service.second, CountOn, Counted, id="the second stage says it on to the far end"),
    ],
)
@pytest.mark.parametrize("before", [None, Counter(0, 0), Counter(41, 40)])
def test_a_stage_counts_and_says_on_what_it_heard(stage: Any, heard: Any, said: Any, before: Counter | None) -> None:
    decision = stage(before, heard(seq=41, filler="xx"), CONTEXT)
    handled = 1 + (before.handled if before else 0)
    assert decision.state == Counter(handled, 41)
    (send,) = decision.sends
    assert (send.key, type(send.message), send.message.seq, send.message.filler) == ("a", said, 41, "xx")
    assert getattr(send.message, "handled", handled) == handled
    assert (decision.answer, decision.timers, decision.attempts, decision.reply) == (None, (), (), None)


def test_topics_lead_from_stage_to_stage_and_end_where_nobody_reads() -> None:
    houses = [service.house(1).service, service.house(2).service]
    assert [(each.name, each.topic) for each in houses] == [("first", FIRST), ("second", SECOND)]
    assert [kind.topic for kind in (Count, CountOn, Counted)] == [FIRST, SECOND, END]
    assert [spec.name for spec in service.TOPICS] == [FIRST, SECOND, END]


@FEW
@given(st.integers(0, 2**63 - 1), st.integers(0, 2**63 - 1))
def test_a_counter_is_the_same_after_its_row(handled: int, last: int) -> None:
    state = Counter(handled, last)
    assert COUNTERS._from_row("a", COUNTERS._to_row(state)) == state
    assert COUNTERS._to_row(state) == tuple(getattr(state, each.name) for each in dataclasses.fields(state))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("stage")
    prepare(here(made))
    return made


@pytest.fixture
def flags(folder: Path) -> Path:
    """The folder of a soak without any flag."""
    for path in (*(folder / "raises").iterdir(), *(folder / "bugs").iterdir()):
        path.unlink()
    (folder / "mended").unlink(missing_ok=True)
    return folder


@pytest.mark.parametrize(
    ("flag", "when", "actor", "raises"),
    [
        pytest.param("raises/a", "before", "a", True, id="named before the start"),
        pytest.param("raises/a", "after", "a", True, id="named while it runs"),
        pytest.param("raises/b", "before", "a", False, id="another is named"),
        pytest.param("bugs/a", "before", "a", True, id="a bug of this version"),
        pytest.param("bugs/a", "after", "a", False, id="a bug of the next version"),
        pytest.param("bugs/b", "before", "a", False, id="a bug that another meets"),
    ],
)
@pytest.mark.parametrize(("stage", "kind"), [(1, Count), (2, CountOn)])
def test_a_stage_raises_for_whom_the_folder_names(
    flags: Path, flag: str, when: str, actor: str, raises: bool, stage: int, kind: Any
) -> None:
    if when == "before":
        (flags / flag).touch()
    behave = troubled(flags, stage)
    if when == "after":
        (flags / flag).touch()
    heard = kind(seq=1, filler="x")
    if raises:
        with pytest.raises(RuntimeError, match=f"stage {stage} cannot handle {actor}"):
            behave(None, heard, Context(actor, "m", 0))
    else:
        assert behave(None, heard, Context(actor, "m", 0)).state == Counter(1, 1)


@pytest.mark.parametrize(("flag", "mended_by"), [("raises/a", "the same process"), ("bugs/a", "the next process")])
def test_trouble_passes_when_its_flag_is_gone(flags: Path, flag: str, mended_by: str) -> None:
    (flags / flag).touch()
    behave = troubled(flags, 1)
    (flags / flag).unlink()
    heard = Count(seq=1, filler="x")
    if mended_by == "the next process":
        with pytest.raises(RuntimeError):
            behave(None, heard, CONTEXT)
        behave = troubled(flags, 1)
    assert behave(None, heard, CONTEXT).state == Counter(1, 1)


@pytest.mark.parametrize(
    ("filler", "mended", "handled"),
    [
        pytest.param("x", False, 1, id="a usual filler"),
        pytest.param(f"{REJECTED}xx", False, TOO_BIG, id="a state that no database takes"),
        pytest.param(f"{REJECTED}xx", True, 1, id="the same when it is mended"),
        pytest.param(f"x{REJECTED}", False, 1, id="the word elsewhere"),
    ],
)
def test_a_filler_can_ask_for_a_state_that_no_database_takes(flags: Path, filler: str, mended: bool, handled: int) -> None:
    if mended:
        (flags / "mended").touch()
    decision = troubled(flags, 1)(None, Count(seq=5, filler=filler), CONTEXT)
    assert decision.state == Counter(handled, 5)
    assert len(decision.sends) == 1
