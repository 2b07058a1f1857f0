"""Every command used wrongly in every way that its options allow: exit code 2, a sentence that names the option, nothing begun."""

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tools import cli

Line = list[str]
COMMON = ("bus", "db", "data", "as_json", "as_table", "help")


def leaves(path: Line, command: Any) -> Iterator[tuple[Line, Any]]:
    """Every command that does something, below its groups."""
    if not hasattr(command, "commands"):
        yield path, command
    for name, each in getattr(command, "commands", {}).items():
        yield from leaves([*path, name], each)


LEAVES = [leaf for name, (module, _) in cli.COMMANDS.items() if cli._exists(module) for leaf in leaves([name], cli.load(name))]


WORDS = {"what": "show", "platform": "p", "notify_url": "http://127.0.0.1:1/x", "out": "o"}  # of what takes not every word


def needed(command: Any) -> Line:
    """Words for the arguments and options that a command cannot do without."""
    words = [WORDS.get(p.name, "x") for p in command.params if p.param_type_name == "argument" and p.required]
    options = [(p.opts[-1], WORDS[p.name]) for p in command.params if p.param_type_name == "option" and p.required]
    return [*words, *(word for option in options for word in option)]


def of_commands(where: Callable[[Line, Any], bool] = lambda _, __: True) -> pytest.MarkDecorator:
    """The test of every command for which something holds."""
    return pytest.mark.parametrize(("path", "command"), [pytest.param(*leaf, id=" ".join(leaf[0])) for leaf in LEAVES if where(*leaf)])


def own_options(command: Any) -> list[Any]:
    """The options that only this command has and that take a value."""
    return [p for p in command.params if p.param_type_name == "option" and p.name not in COMMON and not p.is_flag]


def each_option(*, whole_number: bool) -> list[Any]:
    """(command line so far, option) of every command."""
    return [
        pytest.param([*path, *needed(command)], option, id=f"{' '.join(path)} {option.opts[-1]}")
        for path, command in LEAVES
        for option in own_options(command)
        if not whole_number or option.type_descriptor.annotation is int
    ]


@pytest.fixture(autouse=True)
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A folder of nothing, in which nothing must be made."""
    monkeypatch.chdir(tmp_path)
    for name in ("LENDBUS_BUS", "LENDBUS_DB", "LENDBUS_DATA", "LENDBUS_PORT"):
        monkeypatch.delenv(name, raising=False)
    yield
    assert list(tmp_path.iterdir()) == []


def refused(capsys: pytest.CaptureFixture[str], arguments: Sequence[str], *says: str) -> None:
    """It ends with 2, and says so on standard error only."""
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert all(word in err for word in says), err
    assert "Traceback" not in err
    assert err.rstrip()[-1] not in ":,;"


@of_commands()
def test_an_option_that_does_not_exist(path: Line, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path, *needed(command), "--no-such"], "No such option: --no-such", f"`lendbus {' '.join(path)} --help`")


@of_commands()
def test_json_and_table_at_once(path: Line, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path, *needed(command), "--json", "--table"], "say --json or --table, not both")


@of_commands(lambda _, command: not any(p.nargs == -1 for p in command.params))
def test_a_word_too_many(path: Line, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    others = ["x" for p in command.params if p.param_type_name == "argument" and not p.required]
    refused(capsys, [*path, *needed(command), *others, "surplus"], "unexpected extra argument", "surplus")


@of_commands(lambda _, command: bool(needed(command)))
def test_a_word_too_few(path: Line, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path], "Missing ", f"`lendbus {' '.join(path)} --help`")


@of_commands()
@pytest.mark.parametrize("option", ["--bus", "--db", "--data"])
def test_a_common_option_without_its_value(path: Line, command: Any, option: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path, *needed(command), option], option, "requires an argument")


@pytest.mark.parametrize(("line", "option"), each_option(whole_number=False))
def test_an_own_option_without_its_value(line: Line, option: Any, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*line, option.opts[-1]], option.opts[-1], "requires an argument")


@pytest.mark.parametrize("value", ["x", "1.5", "", "1e3", "0x10", "NaN"])
@pytest.mark.parametrize(("line", "option"), each_option(whole_number=True))
def test_a_number_that_is_none(line: Line, option: Any, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*line, option.opts[-1], value], option.opts[-1], "integer")


@pytest.mark.parametrize(("line", "option"), each_option(whole_number=True))
def test_a_number_beyond_its_bounds(line: Line, option: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert (option.min, option.max) != (None, None), "a whole number has a least or a greatest"
    if option.min is not None:
        refused(capsys, [*line, option.opts[-1], str(option.min - 1)], option.opts[-1], f"greater than or equal to {option.min}.")
    if option.max is not None:
        refused(capsys, [*line, option.opts[-1], str(option.max + 1)], option.opts[-1], f"less than or equal to {option.max}.")


GUARDED = [
    ["admin", "create"],
    ["dlq", "redrive"],
    ["dlq", "skip"],
    *(["stuck", action] for action in ("redrive", "skip", "retry", "release", "fail")),
]


@of_commands(lambda path, _: path not in GUARDED and path[0] not in ("bench", "worker"))
@pytest.mark.parametrize(
    ("option", "value", "says"),
    [
        ("--bus", "kafka://u:secret@h:9092/a?security=no", "is not one of plaintext"),
        ("--bus", "kafka://u:secret@h:9092/a?nope=1", "expected kafka://host:port"),
        ("--db", "postgresql://u:secret@h", "names no database"),
        ("--bus", "sqlite:", "say sqlite, kafka, sqlite:///PATH"),
        ("--db", "mysql://h/d", "say sqlite, postgresql, sqlite:///FOLDER"),
    ],
)
def test_a_bus_or_store_that_cannot_be_used_is_said_without_its_password(
    path: Line, command: Any, option: str, value: str, says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.run([*path, *needed(command), option, value]) == 2
    out, err = capsys.readouterr()
    assert (out, says in err, "secret" in err) == ("", True, False)


READERS = [["tail"], ["trace", "x"], ["stuck", "ls"], ["stuck", "show", "x"], ["dlq", "ls"], ["dlq", "show", "x"], ["check"]]
ROLE = {"admin create": ["--role", "auditor"]}
WRITERS = [[*path, "xxx", *ROLE.get(" ".join(path), ()), "--unsafe-local", "--reason", "why"] for path in GUARDED]


@pytest.mark.parametrize("line", [*READERS, *WRITERS], ids=lambda line: " ".join(line[:2]))
def test_a_folder_that_nothing_was_started_in_is_said_and_not_made(line: Line, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*line, "--data", "no/such/folder"], "nothing here yet", "no/such/folder", "lendbus up", "--data")


@pytest.mark.parametrize("path", GUARDED, ids=" ".join)
def test_what_writes_wants_to_be_told_that_it_may(path: Line, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path, "x", "--reason", "why"], f"`lendbus {' '.join(path)}` writes", "--unsafe-local")


@pytest.mark.parametrize("path", GUARDED, ids=" ".join)
def test_what_writes_past_the_operators_does_so_on_its_own_machine_only(path: Line, capsys: pytest.CaptureFixture[str]) -> None:
    elsewhere = "postgresql://u@192.0.2.1/x"
    refused(capsys, [*path, "x", "--unsafe-local", "--reason", "why", "--db", elsewhere], "is for a store of this machine")


@pytest.mark.parametrize("reason", ["", " ", "\t\n", "\u3000"])
@pytest.mark.parametrize("path", GUARDED, ids=" ".join)
def test_a_reason_of_blanks_is_no_reason(path: Line, reason: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [*path, "x", *ROLE.get(" ".join(path), ()), "--unsafe-local", "--reason", reason], "say why with --reason TEXT")


@pytest.mark.parametrize(
    ("which", "said"),
    [
        pytest.param("", "''", id="empty"),
        pytest.param("a b", "'a b'", id="a blank"),
        pytest.param("a\nb", r"'a\nb'", id="a newline"),
        pytest.param("\x1b[2J", r"'\x1b[2J'", id="an escape"),
        pytest.param("林", "'林'", id="no ASCII"),
        pytest.param("\u202e", r"'\u202e'", id="turned round"),
        pytest.param("x" * 201, "x" * 201, id="too long"),
    ],
)
def test_what_can_be_no_id_is_shown_harmlessly(which: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["trace", "--", which], said, "is no id: ids are up to 200 printable ASCII characters")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("trce", "trace"), ("topic", "topics"), ("chek", "check"), ("setting", "settings"), ("workers", "worker"), ("doctr", "doctor")],
)
def test_a_slip_of_the_pen_is_answered_with_what_was_meant(typed: str, meant: str, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, [typed], f"'{typed}'", f"'{meant}'")


@pytest.mark.parametrize("name", sorted(cli.LATER))
def test_every_command_that_comes_later_says_so_whatever_follows(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for rest in ([], ["ls"], ["--json"]):
        refused(capsys, [name, *rest], f"`lendbus {name}` comes with a later issue", "lendbus --help")


@pytest.mark.parametrize("services", [["bank"], ["users", "bank"], ["Users"], [""], ["users,accounts"]], ids=repr)
def test_a_worker_of_no_service_is_refused_before_anything_starts(services: Line, capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, ["worker", *services], "there is no service", repr(services[-1]), "accounts")


@of_commands()
def test_every_command_and_each_of_its_options_explains_itself(path: Line, command: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert (command.help or "").strip().split("\n")[0][-1:] in ".:;?"
    assert [p.name for p in command.params if not (getattr(p, "help", None) or "").strip()] == []
    assert cli.run([*path, "--help"]) == 0
    out = capsys.readouterr().out
    assert all(option.opts[-1] in out for option in own_options(command))
