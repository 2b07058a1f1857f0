import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tools import cli
from tools.options import Options
from tools.output import Failed, WrongUse

HEAVY = ("aiohttp", "faust", "orjson", "pydantic", "rich", "sqlalchemy", "structlog", "aiosqlite")


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_help_lists_every_command_that_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--help"]) == 0
    out = capsys.readouterr().out
    for name in ("topics", "tail", "trace", "stuck", "dlq", "doctor", "settings", "check"):
        assert f"  {name} " in out


def test_help_imports_nothing_heavy() -> None:
    code = f"from tools import cli; import sys; cli.run(['--help']); print(*[n for n in {HEAVY!r} if n in sys.modules], file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(cli.__file__).parents[1], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == ""


@pytest.mark.parametrize("name", [name for name, (module, _) in cli.COMMANDS.items() if cli._exists(module)])
def test_every_command_that_there_is_explains_itself(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([name, "--help"]) == 0
    assert "Usage: lendbus " in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["tial"], "Did you mean 'tail'?"),
        (["tail", "--nope"], "No such option: --nope"),
        (["trace"], "Missing argument 'ID'"),
        (["tail", "-n", "x"], "should be a valid integer"),
        (["tail", "-n", "-1"], "greater than or equal to 0"),
        (["kafka", "up", "--port", "70000"], "less than or equal to 65535"),
        (["topics", "lss"], "No such command 'lss'"),
        (["settings", "--bus", "kafka://h:9092/ns?security=no"], "LENDBUS_BUS: security=no is not one of plaintext"),
        (["settings", "--db", "postgresql://h"], "names no database"),
        (["settings", "--db", "postgresql://h/d?sslmood=require"], "LENDBUS_DB: the option 'sslmood' is not known here: say sslmode"),
        (["up", "--db", f"postgresql://h/{'x' * 57}"], "cut the database's name at 63 bytes"),  # `…_users` would fit
        (["settings", "--bus", "redis"], "LENDBUS_BUS: say sqlite, kafka"),
        (["settings", "--json", "--table"], "say --json or --table, not both"),
        (["tail"], "nothing here yet"),
        (["trace", "x"], "nothing here yet"),
        (["trace", "a b"], "is no id"),
        (["stuck", "ls"], "run `lendbus up` first"),
        (["dlq", "ls"], "nothing here yet"),
        (["check"], "nothing here yet"),
        (["dlq", "skip", "x"], "--unsafe-local"),
        (["dlq", "redrive", "x"], "--unsafe-local"),
        (["stuck", "skip", "x"], "--unsafe-local"),
        (["stuck", "redrive", "x"], "--unsafe-local"),
        (["dlq", "skip", "x", "--unsafe-local"], "--reason"),
        (["dlq", "redrive", "x", "--unsafe-local", "--value", "nowhere"], "name a file"),
    ],
)
def test_wrong_use_ends_with_2_and_a_sentence_on_standard_error(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert cli.run(arguments) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert out == ""
    assert "Traceback" not in err


def test_no_command_at_all_shows_the_help_and_is_wrong_use(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run([]) == 2
    assert "Usage: lendbus" in "".join(capsys.readouterr())


def test_a_command_whose_module_is_not_there_yet_is_not_listed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(cli.COMMANDS, "someday", ("tools.someday", "Not yet."))
    monkeypatch.setitem(cli.COMMANDS, "never", ("no_such_room.command", "Never."))
    assert cli.run(["--help"]) == 0
    assert "someday" not in capsys.readouterr().out
    assert cli.run(["someday"]) == 2
    assert "comes with a later issue" in capsys.readouterr().err


def test_a_module_that_has_no_command_yet_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(cli.COMMANDS, "draft", ("tools.instants", "Not a command."))
    assert cli.run(["draft"]) == 2
    assert "comes with a later issue" in capsys.readouterr().err


def planted(monkeypatch: pytest.MonkeyPatch, function: Any) -> None:
    monkeypatch.setattr("importlib.import_module", lambda _: SimpleNamespace(command=function))


@pytest.mark.parametrize(
    ("raised", "code"),
    [
        (WrongUse("say it so"), 2),
        (Failed("one is broken"), 1),
        (KeyboardInterrupt(), 130),
        (BrokenPipeError(), 141),
        (OSError(28, "No space left"), 1),
    ],
)
def test_what_ends_a_command_is_its_exit_code(
    raised: BaseException, code: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(options: Options) -> None:
        """Fail."""
        raise raised

    planted(monkeypatch, command)
    assert cli.run(["check"]) == code
    assert "Traceback" not in capsys.readouterr().err


def test_a_command_may_return_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(options: Options) -> int:
        """Have a finding."""
        return 1

    planted(monkeypatch, command)
    assert cli.run(["check"]) == 1


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def command(options: Options) -> None:
        """Break."""
        raise ZeroDivisionError

    planted(monkeypatch, command)
    with pytest.raises(ZeroDivisionError):
        cli.run(["check"])


def test_the_common_options_come_before_and_after_a_commands_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    seen = []

    def command(options: Options, count: int = 1) -> None:
        """Note what was said."""
        seen.append((options.settings.data, options.out.is_table, count))

    planted(monkeypatch, command)
    assert cli.run(["check", "--data", str(tmp_path), "--count", "3", "--table"]) == 0
    assert cli.run(["check", "--count", "4", "--json", "--data", "x"]) == 0
    assert seen == [(tmp_path, True, 3), (Path("x"), False, 4)]


def test_the_version_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["--version"]) == 0
    assert capsys.readouterr().out.strip()


def test_settings_are_shown_without_passwords(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LENDBUS_PORT", "1234")
    assert cli.run(["settings"]) == 0
    out = capsys.readouterr().out
    assert '"name":"port","variable":"LENDBUS_PORT","value":"1234","default":"8080"' in out


def test_the_contract_is_shown_where_no_bus_is_yet(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.run(["topics", "ls"]) == 0
    out, err = capsys.readouterr()
    assert '"topic":"users.commands","owner":"users"' in out
    assert '"records":null' in out
    assert err == ""
