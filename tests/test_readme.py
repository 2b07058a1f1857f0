"""Every command that a README shows is one that CI runs: here, when it is quick, else in `.ci/run`."""

import json
import os
import re
import select
import shlex
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import required

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh-CN.md")
LENDBUS = ".venv/bin/lendbus"
ON_KAFKA = (f"{LENDBUS} kafka up", f"{LENDBUS} demo --bus kafka --once", f"{LENDBUS} kafka down")
CI_RUNS = {  # what is shown → the line of .ci/run that executes it
    "make demo": "make demo ONCE=1",
    "make test": "make test",
    **{line: line for line in ON_KAFKA},
}
INSTALLED = Path(sys.executable).with_name("lendbus")
SERVES = f"{LENDBUS} up"  # alone in its block; the next block is typed while it serves
SERVED_AT = "http://127.0.0.1:8080"
COMMAND_S = 30


def blocks(readme: str) -> list[list[str]]:
    """Every console block as the lines that a person would type."""
    found = re.findall(r"```(?:console|sh)\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)
    return [[line.removeprefix("$ ").strip() for line in block.splitlines() if line.startswith("$ ")] for block in found]


def commands(readme: str) -> list[str]:
    """The lines of all its console blocks."""
    return [command for block in blocks(readme) for command in block]


def session(readme: str) -> list[str]:
    """What is typed while the platform serves."""
    found = blocks(readme)
    return found[found.index([SERVES]) + 1]


ELSEWHERE = {*CI_RUNS, SERVES, *(command for readme in READMES for command in session(readme))}
QUICK = sorted({command for readme in READMES for command in commands(readme)} - ELSEWHERE)


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (commands(readme) for readme in READMES)
    assert english == chinese
    assert english[:2] == ["make demo", "make test"]


def environment() -> dict[str, str]:
    """Of a person who has set nothing, but waits for the end of a registration however slow the machine is."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("LENDBUS_")}
    return inherited | {"NO_COLOR": "1", "LENDBUS_WAIT_MS": "20000"}


@pytest.mark.parametrize("shown", CI_RUNS)
def test_a_long_command_is_a_line_of_the_ci_script(shown: str) -> None:
    assert re.search(rf"^(timeout \d+ )?{re.escape(CI_RUNS[shown])}$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_of_the_readme_works(command: str, tmp_path: Path) -> None:
    """In an empty folder, as on a machine where nothing has been started."""
    program, *arguments = shlex.split(command)
    assert program == LENDBUS, f"{command!r} is run by nothing: add it to CI_RUNS and .ci/run"
    done = subprocess.run(
        [INSTALLED, *arguments], cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """`lendbus up` in this folder, on a free port; its URL. It ends with the block, and ends well."""
    told = folder / "errors"
    arguments = [str(INSTALLED), "up", "--port", "0"]
    with told.open("wb") as errors, subprocess.Popen(arguments, cwd=folder, env=environment(), stdout=subprocess.PIPE, stderr=errors) as up:
        try:
            assert up.stdout is not None
            assert select.select([up.stdout], [], [], COMMAND_S)[0], told.read_text()
            where = json.loads(up.stdout.readline() or "{}")
            assert where, told.read_text()
            yield where["registrations"].removesuffix("/api/v1/registrations")
            up.send_signal(signal.SIGINT)
            assert up.wait(COMMAND_S) == 0, told.read_text()
        finally:
            up.kill()


def test_what_is_typed_while_the_platform_serves_works(tmp_path: Path) -> None:
    """Line by line by a shell, as it stands but for the port."""
    required("curl", shutil.which("curl"), "the README asks the gateway with it")
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / LENDBUS).symlink_to(INSTALLED)
    said = []
    with serving(tmp_path) as url:
        for command in session(READMES[0]):
            assert SERVED_AT in command or command.startswith(LENDBUS)
            line = ["bash", "-c", command.replace(SERVED_AT, url)]
            done = subprocess.run(line, cwd=tmp_path, env=environment(), capture_output=True, text=True, timeout=COMMAND_S, check=False)
            assert done.returncode == 0, (command, done.stderr)
            said.append(done.stdout)
    posted, got, _, me, made, traced, told, checked = said
    assert json.loads(posted)["status"] == json.loads(got)["status"] == "CONFIRMED"
    assert (json.loads(me)["id"], json.loads(me)["role"]) == (json.loads(posted)["id"], "investor")
    assert (json.loads(made)["role"], len(json.loads(made)["password"]) >= 20) == ("auditor", True)
    assert json.loads(posted)["id"] in traced and "users.MemberRegistered" in told
    assert {(row["result"], row["rule"]) for row in map(json.loads, checked.splitlines())} == {
        ("ok", "everything"),
        ("warn", "bank_not_here"),
    }


@pytest.mark.parametrize("page", [*READMES, *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_every_link_between_our_pages_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert "://" in target or ((ROOT / page).parent / target).exists(), f"{page} points at {target}"
