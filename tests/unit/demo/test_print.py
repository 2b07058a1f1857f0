"""What the demo shows: nothing of the story is hidden at any width, ids and commands can be copied, machines get one object."""

import io
import json
import re
from typing import Any, Final, cast

import pytest
from rich.cells import cell_len

from tools.demo import Outcome
from tools.demo_print import as_json, show
from tools.output import Output
from tools.story.outcome import Balance
from tools.story.people import Staff
from tools.story.scene import Scene, line
from tools.tracing import Step, Story

TRACE: Final = "e7f1c507-19f3-4c3c-a6f2-5b2676992491"
URL: Final = "http://127.0.0.1:8080"
WIDTHS: Final = [40, 80, 200]
UP: Final = "the shop is disbursed"


def a_step(n: int, **changes: Any) -> Step:
    said = {
        "at_ms": 1_764_000_000_000 + n * 40, "type": "users.Register", "sender": "gateway", "receiver": "users", "actor": TRACE,
        "effect": "handled", "message_id": f"m{n}", "causation": None, "topic": "users.commands", "partition": 0, "offset": n,
        "said_ms": 1_764_000_000_000,
    }  # fmt: skip
    return Step(**{**said, **changes})


def a_story() -> Story:
    return Story(TRACE, TRACE, [a_step(0), a_step(1, type="accounts.Try", sender="users", receiver="accounts")])


def an_outcome(**changes: Any) -> Outcome:
    scenes = [
        Scene("lin", "registers", "CONFIRMED", True, 31, 201, "r1"),
        Scene("lin", "bids ¥1,000.00 on the shop, too late", "not_raising", True, 8, 409),
        Scene("the shop", "is disbursed", "REPAYING", True, 1004, 200, TRACE),
    ]
    said: dict[str, Any] = {
        "url": URL, "folder": "/tmp/data/demo/20260101-000000", "bank_url": "http://127.0.0.1:8081", "scenes": scenes,
        "first_answer_ms": 1_234, "story_ms": 21_000, "waited_ms": 6_500, "lost_webhooks": 1,
        "held_up": {f"{UP}: REPAYING": "trading was stopped"},
        "balances": {"lin": Balance(712_345, 0), "platform": Balance(1_655, 10)}, "trace": a_story(),
        "staff": [Staff("first auditor", "auditor", "first_1", "secret one")],
    }  # fmt: skip
    return Outcome(**{**said, **changes})


class Options:
    """What was said on the command line."""

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.out = Output(as_json=is_json, as_table=not is_json)


def shown(outcome: Outcome, monkeypatch: pytest.MonkeyPatch, *, width: int = 200, serving: bool = False, is_json: bool = False) -> str:
    """What it prints into a pipe of this width."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stdout", out)
    monkeypatch.setenv("COLUMNS", str(width))
    show(cast(Any, Options(is_json)), outcome, serving=serving)
    return out.getvalue()


@pytest.mark.parametrize("width", WIDTHS)
def test_every_scene_is_there_whatever_the_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = shown(an_outcome(), monkeypatch, width=width)
    for scene in an_outcome().scenes:
        assert scene.who in text
        assert str(scene.status) in text
        assert str(scene.took_ms) in text
    assert text.count("yes") == 3


@pytest.mark.parametrize("width", [80, 100, 200])
def test_tables_keep_to_the_width(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    tables = shown(an_outcome(), monkeypatch, width=width).split("\nThe loan, message by message")[0]
    assert max(map(cell_len, tables.splitlines())) <= width


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("serving", [True, False])
def test_the_id_and_the_commands_are_never_folded(monkeypatch: pytest.MonkeyPatch, width: int, serving: bool) -> None:
    lines = shown(an_outcome(), monkeypatch, width=width, serving=serving).splitlines()
    assert f"lendbus trace {TRACE} --data '/tmp/data/demo/20260101-000000'" in lines
    assert "lendbus tail --data '/tmp/data/demo/20260101-000000'" in lines
    assert any(TRACE in each and each.startswith("The loan, message by message") for each in lines)


def test_at_forty_columns_a_scene_is_a_block_and_wider_it_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    narrow, wide = (shown(an_outcome(), monkeypatch, width=width) for width in (40, 200))
    assert re.search("^does +is disbursed$", narrow, re.MULTILINE)
    assert re.search("^the shop +is disbursed +200 +REPAYING ", wide, re.MULTILINE)


@pytest.mark.parametrize(
    ("changes", "said", "unsaid"),
    [
        pytest.param({}, ["The story held. The stores agree."], ["NOT", "disagree"], id="well"),
        pytest.param({"scenes": [Scene("lin", "registers", "500", False, 3, 500)]}, ["did NOT hold", "agree"], ["story held."], id="no"),
        pytest.param({"unbalanced": ["a fen too much"]}, ["did NOT hold", "a fen too much"], ["story held."], id="money"),
        pytest.param({"ended": "the bank's page does not answer"}, ["could not go on: the bank's page"], ["story held."], id="it ended"),
        pytest.param({}, ["took 14.5 s, besides 6.5 s", "(1 webhooks lost)", f"  {UP}: trading was stopped"], [], id="how long"),
        pytest.param({"findings": ["rule: r1: planted"]}, ["did NOT hold", "disagree:", "rule: r1: planted"], ["agree."], id="stores"),
        pytest.param({"scenes": []}, ["did NOT hold"], ["story held."], id="nothing was played"),
        pytest.param({"first_answer_ms": 1_234}, ["First registration answered 1.23 s"], [], id="how soon"),
        pytest.param(
            {"first_answer_ms": None}, ["The stores agree.\n"], ["First registration"], id="the system does not tell how old it is"
        ),
        pytest.param({"trace": None}, ["lendbus trace ID --data"], ["message by message"], id="no loan was made"),
    ],
)
def test_the_end_says_what_came_of_it(monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], said: list[str], unsaid: list[str]) -> None:
    text = shown(an_outcome(**changes), monkeypatch)
    assert all(each in text for each in said), text
    assert not [each for each in unsaid if each in text]


def test_while_it_serves_it_says_how_to_ask_it(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(an_outcome(), monkeypatch, serving=True)
    assert f"curl -sS '{URL}/readyz'" in text
    assert "curl -sS 'http://127.0.0.1:8081/readyz'" in text
    assert "first auditor: log in as first_1 with secret one" in text
    body = re.search(r"-d '(.*)'", text)
    assert body is not None and set(json.loads(body[1])) == {"login_name", "mobile", "password", "role"}


def test_when_it_has_ended_it_names_no_address_that_answers_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(an_outcome(), monkeypatch, serving=False)
    assert URL not in text
    assert "curl" not in text
    assert "secret one" not in text


@pytest.mark.parametrize("width", WIDTHS)
def test_every_account_and_what_they_add_up_to_is_shown(monkeypatch: pytest.MonkeyPatch, width: int) -> None:
    text = shown(an_outcome(), monkeypatch, width=width)
    for amount in ("¥7,123.45", "¥16.55", "¥0.10", "¥7,140.10"):
        assert amount in text


@pytest.mark.parametrize("serving", [True, False])
def test_a_machine_gets_one_object_on_one_line_and_no_word_beside_it(monkeypatch: pytest.MonkeyPatch, serving: bool) -> None:
    (only,) = shown(an_outcome(), monkeypatch, width=40, serving=serving, is_json=True).splitlines()
    told = json.loads(only)
    assert told["scenes"][2] == {
        "who": "the shop", "does": "is disbursed", "status": 200, "outcome": "REPAYING", "took_ms": 1004, "held": True, "id": TRACE,
    }  # fmt: skip
    assert (told["story_ms"], told["waited_for_own_faults_ms"], told["lost_webhooks"]) == (21_000, 6_500, 1)
    assert told["balances"]["platform"] == {"available_fen": 1_655, "held_fen": 10}
    assert "secret one" not in only
    assert [step["type"] for step in told["trace"]["steps"]] == ["users.Register", "accounts.Try"]


@pytest.mark.parametrize(
    ("changes", "held", "check", "trace"),
    [
        pytest.param({}, True, True, True, id="well"),
        pytest.param({"findings": ["x"]}, False, False, True, id="the stores disagree"),
        pytest.param({"unbalanced": ["x"]}, False, False, True, id="a fen too much"),
        pytest.param({"scenes": [], "trace": None}, False, True, False, id="nothing was played"),
    ],
)
def test_the_object_tells_what_held_apart(changes: dict[str, Any], held: bool, check: bool, trace: bool) -> None:
    told = as_json(an_outcome(**changes))
    assert (told["held"], told["check"]["ok"], told["trace"] is not None) == (held, check, trace)


@pytest.mark.parametrize(("held", "mark"), [(True, "✓"), (False, "✗")])
def test_progress_is_a_line_a_scene_with_its_verdict_first(held: bool, mark: str) -> None:
    said = line(Scene("lin", "registers", "CONFIRMED", held, 31, 201))
    assert said == f"{mark} lin registers: CONFIRMED (31 ms)"


def test_a_name_that_a_terminal_would_obey_is_shown_and_not_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    text = shown(an_outcome(scenes=[Scene("Lin\x1b[31m", "registers\u202e", "CONFIRMED", True, 1, 201)]), monkeypatch)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert "Lin\\x1b[31m" in text


def test_wide_characters_leave_the_columns_where_they_are(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [Scene(who, "registers", "CONFIRMED", True, 1, 201) for who in ("林小明", "Lin", "🙂")]
    lines = [each for each in shown(an_outcome(scenes=rows, trace=None), monkeypatch).splitlines() if "registers" in each]
    assert len({cell_len(each[: each.index("registers")]) for each in lines}) == 1
