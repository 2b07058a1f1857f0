import json
import re

import pytest
from rich.cells import cell_len

from tools import output
from tools.output import Column, Output, Verbatim, WrongUse, block, cell, instant, printable, span, table, to_json

ID = "e7f1c507-19f3-4c3c-a6f2-5b2676992491"
COLUMNS = (Column("id", fixed=True), Column("name"), Column("n", number=True), Column("english"))


def a_row(**changes: object) -> dict[str, object]:
    return {"id": ID, "name": "林小明", "n": 7, "english": "A sentence that is long enough to be folded when it must.", **changes}


@pytest.fixture
def columns(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("COLUMNS", "80")
    return monkeypatch


@pytest.mark.parametrize("width", [40, 80, 120])
def test_an_id_is_never_cut_whatever_the_width(columns: pytest.MonkeyPatch, width: int) -> None:
    columns.setenv("COLUMNS", str(width))
    assert table([a_row(), a_row(name="👩‍🚀" * 9)], COLUMNS).count(ID) == 2


def test_columns_are_aligned_by_display_width(columns: pytest.MonkeyPatch) -> None:
    columns.setenv("COLUMNS", "200")
    lines = table([a_row(name="林小明"), a_row(name="Lin"), a_row(name="🙂🙂")], COLUMNS).splitlines()
    starts = {cell_len(line[: line.index("A sentence")]) for line in lines[1:]}
    assert len(starts) == 1


def test_other_columns_give_way_within_the_width(columns: pytest.MonkeyPatch) -> None:
    lines = table([a_row()], COLUMNS).splitlines()
    assert len(lines) > 2
    assert max(map(cell_len, lines)) <= 80


def test_where_ids_leave_no_room_every_row_is_a_block_of_lines(columns: pytest.MonkeyPatch) -> None:
    columns.setenv("COLUMNS", "40")
    text = table([a_row(), a_row()], COLUMNS)
    assert re.search(rf"^id +{ID}$", text, re.MULTILINE)
    assert text.count("english") == 2


def test_a_spare_column_is_left_out_where_there_is_no_room_and_that_is_said(
    columns: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    columns.setenv("COLUMNS", "50")
    spare = (*COLUMNS[:3], COLUMNS[3]._replace(spare=True))
    lines = table([a_row(), a_row()], spare).splitlines()
    assert len(lines) == 3 and all(ID in line for line in lines[1:])
    assert "not shown for want of room: english" in capsys.readouterr().err


def test_a_forced_table_in_a_pipe_is_as_wide_as_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    assert len(table([a_row(english="x" * 500)], COLUMNS).splitlines()) == 2


@pytest.mark.parametrize(
    ("hostile", "shown"),
    [("a\x1b[31mb", r"a\x1b[31mb"), ("a\nb", r"a\x0ab"), ("a\u202eb", r"a\u202eb"), ("a\u2028b", r"a\u2028b"), ("a\ud800b", r"a\ud800b")],
)
def test_what_a_terminal_would_obey_is_escaped(hostile: str, shown: str) -> None:
    assert printable(hostile) == cell(hostile) == shown


def test_ordinary_text_of_any_script_stays_as_it_is() -> None:
    assert printable("林小明 · Ñandú · 🙂") == "林小明 · Ñandú · 🙂"


@pytest.mark.parametrize("text", ['a"b\\', "\x00\x1f\x7f", "line\u2028sep\u2029", "\u202e", "\ud800", "林🙂"])
def test_a_json_line_is_one_line_and_says_the_same(text: str) -> None:
    line = to_json({text: [text, None, True, 1]})
    assert json.loads(line) == {text: [text, None, True, 1]}
    assert len(line.splitlines()) == 1


@pytest.mark.parametrize("number", ["9007199254740993", "18446744073709551617", "1.0", "1e3", "-0"])
def test_a_number_keeps_the_digits_that_it_came_with(number: str) -> None:
    assert to_json({"n": Verbatim(number)}) == f'{{"n":{number}}}'


@pytest.mark.parametrize("odd", [None, -1, 0, 1_795_568_361, 1_795_568_361_844_000, 253_402_300_800_000, 10**18, -(10**18)])
def test_an_instant_that_cannot_be_meant_is_unknown(odd: int | None) -> None:
    assert instant(odd) is None


def test_an_instant_is_utc_with_milliseconds() -> None:
    assert instant(1_795_568_361_844) == "2026-11-25T00:59:21.844Z"


def test_a_span_is_said_in_its_unit() -> None:
    assert [span(ms) for ms in (None, 0, 999, 1500, 120_000, 7_200_000, 604_800_000)] == [
        "unknown",
        "0 ms",
        "999 ms",
        "1.5 s",
        "2.0 min",
        "2.0 h",
        "7.0 d",
    ]


def test_nothing_a_list_and_an_object_have_a_look_of_their_own() -> None:
    assert [cell(v) for v in (None, True, ["a", "b"], {"a": 1})] == ["-", "yes", "a, b", '{"a":1}']
    assert block({"first_name": "Lin", "n": 1}) == "first name  Lin\nn           1\n"


def test_a_pipe_gets_json_lines_unless_a_table_is_asked_for(capsys: pytest.CaptureFixture[str], columns: pytest.MonkeyPatch) -> None:
    Output().rows([a_row()], COLUMNS, empty="none")
    assert json.loads(capsys.readouterr().out) == a_row()
    Output(as_table=True).rows([a_row()], COLUMNS, empty="none")
    assert capsys.readouterr().out.startswith("id ")


def test_a_terminal_gets_a_table_unless_json_is_asked_for(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    assert Output().is_table
    assert not Output(as_json=True).is_table


def test_no_rows_are_a_sentence_on_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    Output().rows([], COLUMNS, empty="nothing is stuck")
    assert capsys.readouterr() == ("", "nothing is stuck\n")


def test_json_and_table_together_are_wrong_use() -> None:
    with pytest.raises(WrongUse, match="not both"):
        Output(as_json=True, as_table=True)
