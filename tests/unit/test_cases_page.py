"""The page of cases names tests: each of them exists, so that a case which loses its test is noticed."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "cases.md"
NAMED = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", PAGE.read_text())
NUMBERS = {
    "B": (4, 6, 9, 10, 13, 14, 15, 16, 18, 22, 25, 28, 31, 32, 34, 37),
    "D": (14, 16, 18, 20, 21, 23, 25, 31, 39),
    "M": (1, 3, 6, 7, 9, 17, 19, 22, 24, 31, 34, 39, 42),
}
ASKED = [f"{letter}{number}" for letter, numbers in NUMBERS.items() for number in numbers]


@pytest.mark.parametrize(("path", "name"), NAMED)
def test_a_test_that_the_page_names_is_there(path: str, name: str) -> None:
    assert re.search(rf"^(async )?def {name}", (ROOT / path).read_text(), re.MULTILINE), f"{PAGE.name} names {path}::{name}"


@pytest.mark.parametrize("case", ASKED)
def test_every_case_has_a_row_with_at_least_one_test(case: str) -> None:
    [row] = [line for line in PAGE.read_text().splitlines() if line.startswith(f"| {case} ")]
    assert re.search(r"`tests/", row)
