"""Tables people copy from (CASES B28), with any text at any width: ids whole, columns straight, nothing hidden in silence."""

import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from tools import output
from tools.output import Column, block, cell, instant, printable, span, table

ID = "e7f1c507-19f3-4c3c-a6f2-5b2676992491"
COLUMNS = (Column("id", fixed=True), Column("name"), Column("n", number=True), Column("english", spare=True))
SCRIPTS = st.sampled_from([*"aZ0 -", "林", "小", "明", "🙂", "e\u0301", "\u0e33", "ｱ", "Ａ", "ñ", "؟", "ह", "\x1b", "\n", "\t", "\u202e"])
TEXT = st.lists(SCRIPTS, max_size=40).map("".join)
ROW = st.fixed_dictionaries({"id": st.just(ID), "name": TEXT, "n": st.integers(-(10**9), 10**9), "english": TEXT})
WIDTH = st.integers(20, 200)
ONCE = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tabled(rows: list[dict[str, object]], width: int) -> list[str]:
    """The lines of a table of a terminal of this width."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("COLUMNS", str(width))
        return table(rows, COLUMNS).splitlines()


@ONCE
@given(st.lists(ROW, min_size=1, max_size=4), WIDTH)
def test_an_id_stands_whole_in_its_own_line_once_a_row(rows: list[dict[str, object]], width: int) -> None:
    assert sum(bool(re.search(rf"(^|  ){ID}(  |$)", line)) for line in tabled(rows, width)) == len(rows)


@ONCE
@given(st.lists(ROW, min_size=1, max_size=4), WIDTH)
def test_a_number_is_never_folded(rows: list[dict[str, object]], width: int) -> None:
    text = "\n".join(tabled(rows, width))
    assert all(re.search(rf"(^|\s){row['n']}(\s|$)", text) for row in rows)


@ONCE
@given(st.lists(ROW, min_size=1, max_size=4), WIDTH)
def test_a_table_stays_within_the_width_and_what_cannot_is_a_block(rows: list[dict[str, object]], width: int) -> None:
    lines = tabled(rows, width)
    if not any(line.startswith("id  ") for line in lines[1:]) and lines[0].split()[:2] == ["id", "name"]:
        assert max(map(cell_len, lines)) <= width
    else:
        assert width < len(ID) + 30, "there was room for a table"
        assert sum(line.startswith(("id ", "id  ")) for line in lines) == len(rows)


@ONCE
@given(ROW, WIDTH)
def test_no_table_says_anything_that_a_terminal_obeys(row: dict[str, object], width: int) -> None:
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", "\n".join(tabled([row], width)))


@ONCE
@given(st.lists(st.sampled_from(["林", "🙂", "a", "ｱ", "Ａ", "ñ"]), min_size=1, max_size=12).map("".join))
def test_the_next_column_begins_at_one_place_whatever_the_script(name: str) -> None:
    rows: list[dict[str, object]] = [{"id": ID, "name": each, "n": 1, "english": "MARK"} for each in (name, "Lin", "林小明")]
    lines = tabled(rows, 200)[1:]
    assert len({cell_len(line[: line.index("MARK")]) for line in lines}) == 1


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("[red]x[/red]", id="markup is text"),
        pytest.param("[/]", id="a closing tag that closes nothing"),
        pytest.param(":smile:", id="an emoji's name is a name"),
        pytest.param("https://example.org/[x]", id="a link"),
        pytest.param("\\[bold]", id="a backslash before a bracket"),
        pytest.param("{0} %s $HOME", id="formats"),
        pytest.param("0x1F 1e3 None True", id="what a highlighter would colour"),
    ],
)
def test_text_that_looks_like_markup_is_shown_as_it_is(text: str) -> None:
    assert any(text in line for line in tabled([{"id": ID, "name": text, "n": 1, "english": "-"}], 200))


@pytest.mark.parametrize(("width", "spare"), [(200, True), (100, True), (56, False), (50, False)])
def test_a_spare_column_goes_before_the_table_does(width: int, spare: bool, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tabled([{"id": ID, "name": "Lin Xiaoming the First", "n": 12, "english": "folds where it must"}], width)
    assert ("english" in lines[0]) is spare
    assert ("not shown for want of room: english" in capsys.readouterr().err) is not spare


@pytest.mark.parametrize("columns", ["", "x", "-5", "8O"])
def test_a_width_that_is_no_number_is_as_if_nothing_was_said(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    assert len(table([{"id": ID, "name": "n" * 300, "n": 1, "english": "e" * 300}], COLUMNS).splitlines()) == 2


@pytest.mark.parametrize(("result", "code"), [("ok", "32"), ("warn", "33"), ("fail", "31")])
@pytest.mark.parametrize("no_color", [False, True], ids=["colour", "NO_COLOR"])
def test_a_terminal_gets_colour_unless_it_says_no(result: str, code: str, no_color: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output, "is_terminal", lambda: True)
    monkeypatch.setattr(output, "_width", lambda: 80)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    if no_color:
        monkeypatch.setenv("NO_COLOR", "1")
    text = table([{"result": result}], (Column("result"),))
    assert (f"\x1b[{code}m" in text) is not no_color


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param(None, "-", id="nothing"),
        pytest.param(True, "yes", id="true"),
        pytest.param(False, "no", id="false"),
        pytest.param(0, "0", id="zero is not nothing"),
        pytest.param("", "", id="empty text"),
        pytest.param([], "", id="empty list"),
        pytest.param(("a", None, True), "a, -, yes", id="a list's items are cells"),
        pytest.param(["a\nb"], r"a\x0ab", id="a newline in a list"),
        pytest.param({"k": "v\u2028"}, '{"k":"v\\u2028"}', id="an object is JSON"),
        pytest.param(9007199254740993, "9007199254740993", id="beyond 2^53"),
    ],
)
def test_each_kind_of_value_has_its_cell(value: object, shown: str) -> None:
    assert cell(value) == shown


@given(st.dictionaries(st.sampled_from(["id", "first_name", "since_ms", "x"]), st.text(max_size=20), min_size=1))
def test_a_block_is_one_line_a_field_in_order_with_values_aligned(fields: dict[str, str]) -> None:
    lines = block(fields).split("\n")[:-1]
    width = max(map(len, fields)) + 2
    assert [line[:width].strip() for line in lines] == [name.replace("_", " ") for name in fields]
    assert [line[width:] for line in lines] == [printable(value) for value in fields.values()]


@given(st.text())
def test_printable_text_is_one_line_and_saying_it_again_changes_nothing(text: str) -> None:
    shown = printable(text)
    assert len(shown.splitlines()) <= 1
    assert printable(shown) == shown


@given(st.text())
def test_a_sentence_of_several_lines_keeps_them_and_no_other_break(text: str) -> None:
    assert printable(text, keep_lines=True).split("\n") == [printable(line) for line in text.split("\n")]


@given(st.integers(-(2**63), 2**63 - 1))
def test_an_instant_is_unknown_or_sorts_as_its_number_does(at_ms: int) -> None:
    said, epoch = instant(at_ms), instant(1_795_568_361_844)
    assert epoch is not None
    assert said is None or (said < epoch) == (at_ms < 1_795_568_361_844)


@pytest.mark.parametrize(
    ("at_ms", "said"),
    [
        (946_684_799_999, None),
        (946_684_800_000, "2000-01-01T00:00:00.000Z"),
        (7_258_118_399_999, "2199-12-31T23:59:59.999Z"),
        (7_258_118_400_000, None),
        (1_709_164_800_000, "2024-02-29T00:00:00.000Z"),
    ],
)
def test_the_plausible_years_are_2000_to_2199_to_the_millisecond(at_ms: int, said: str | None) -> None:
    assert instant(at_ms) == said


@pytest.mark.parametrize(
    ("length_ms", "said"),
    [
        (-1, "-1 ms"),
        (-1500, "-1.5 s"),
        (999, "999 ms"),
        (1000, "1.0 s"),
        (119_999, "120.0 s"),
        (120_000, "2.0 min"),
        (7_199_999, "120.0 min"),
        (7_200_000, "2.0 h"),
        (172_799_999, "48.0 h"),
        (172_800_000, "2.0 d"),
        (-172_800_000, "-2.0 d"),
    ],
)
def test_a_span_changes_its_unit_at_two_of_it(length_ms: int, said: str) -> None:
    assert span(length_ms) == said


@pytest.mark.parametrize("width", range(20, 60, 3))
def test_a_fixed_column_of_wide_characters_is_whole_at_any_width(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    who = "林小明" * 5
    assert table([{"who": who, "name": "n" * 20}], (Column("who", fixed=True), Column("name"))).count(who) == 1
