"""The page of cases names tests: each of them exists, so that a case which loses its test is noticed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cases.md"
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())
ASKED = ["B4", "B6", "B9", "B10", "B13", "B14", "B15", "B16", "B18", "B22", "B25", "B28", "B31", "B32", "B34", "B37", "D14", "D18", "D39"]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}", (ROOT / path).read_text(), re.MULTILINE), f"{PAGE.name} names {path}::{name}"


@pytest.mark.parametrize("case", ASKED)
def test_every_case_has_a_row_with_at_least_one_test(case: str) -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {case} ")]
    assert re.search(r"`tests/", row)
