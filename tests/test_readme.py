"""Every command that a README shows is one that CI runs: here, when it is quick, else in `.ci/run`."""

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
READMES = ("README.md", "README.zh-CN.md")
CI_RUNS = {"make demo": "make demo ONCE=1", "make test": "make test"}  # what is shown → the line of .ci/run that executes it
LENDBUS = ".venv/bin/lendbus"
COMMAND_S = 30


def commands(readme: str) -> list[str]:
    """The lines of every console block that a person would type."""
    blocks = re.findall(r"```(?:console|sh)\n(.*?)```", (ROOT / readme).read_text(), re.DOTALL)
    return [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines() if line.startswith("$ ")]


QUICK = sorted({command for readme in READMES for command in commands(readme) if command not in CI_RUNS})


def test_both_readmes_show_the_same_commands() -> None:
    english, chinese = (commands(readme) for readme in READMES)
    assert english == chinese
    assert english[:2] == ["make demo", "make test"]


@pytest.mark.parametrize("shown", CI_RUNS)
def test_a_long_command_is_a_line_of_the_ci_script(shown: str) -> None:
    assert re.search(rf"^(timeout \d+ )?{re.escape(CI_RUNS[shown])}$", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


@pytest.mark.parametrize("command", QUICK)
def test_a_quick_command_of_the_readme_works(command: str, tmp_path: Path) -> None:
    """In an empty folder, as on a machine where nothing has been started."""
    program, *arguments = shlex.split(command)
    assert program == LENDBUS, f"{command!r} is run by nothing: add it to CI_RUNS and .ci/run"
    environment = {k: v for k, v in os.environ.items() if not k.startswith("LENDBUS_")} | {"NO_COLOR": "1"}
    lendbus = Path(sys.executable).with_name("lendbus")
    done = subprocess.run(
        [lendbus, *arguments], cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=COMMAND_S, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


@pytest.mark.parametrize("page", [*READMES, *(str(p.relative_to(ROOT)) for p in (ROOT / "docs").rglob("*.md"))])
def test_every_link_between_our_pages_leads_somewhere(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", (ROOT / page).read_text()):
        assert "://" in target or ((ROOT / page).parent / target).exists(), f"{page} points at {target}"
