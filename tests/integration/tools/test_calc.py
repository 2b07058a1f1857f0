"""`lendbus calc` as a process: lines in, lines out, whatever they hold (M39)."""

import json
import os
import select
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Start = Callable[..., "subprocess.Popen[bytes]"]
ENDS_S = 60
GOOD = b'{"op":"split","total_fen":%d,"weights":[1,1,1]}'
PLAN = b'{"op":"plan","method":"equal_installment","principal_fen":%d,"annual_rate":"0.15","months":36,"start_date":"2025-01-31"}'


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def calc(process: Start) -> Callable[..., tuple[int, list[dict[str, Any]], str]]:
    """Runs it over these bytes; exit code, answers, standard error."""

    def run(content: bytes, *arguments: str) -> tuple[int, list[dict[str, Any]], str]:
        running = process("calc", *arguments, stdin=subprocess.PIPE)
        out, err = running.communicate(content, timeout=ENDS_S)
        assert out == b"" or out.endswith(b"\n")
        return running.returncode, [json.loads(line) for line in out.splitlines()], err.decode()

    return run


Calc = Callable[..., tuple[int, list[dict[str, Any]], str]]


def test_ten_thousand_lines_with_three_bad_ones(calc: Calc) -> None:
    bad = {17: b"not JSON", 4_000: b"[" * 1_000_000, 9_999: b"\xff"}
    lines = [bad.get(at, GOOD % at) for at in range(10_000)]
    code, answers, err = calc(b"\n".join(lines) + b"\n")
    assert (code, err, len(answers)) == (2, "", 10_000)
    assert [at for at, answer in enumerate(answers) if "error" in answer] == sorted(bad)
    assert all(sum(answer["shares"]) == at for at, answer in enumerate(answers) if at not in bad)


def test_when_all_is_well_the_exit_code_says_so(calc: Calc) -> None:
    assert calc(GOOD % 3 + b"\n" + GOOD % 4 + b"\n") == (0, [{"shares": [1, 1, 1]}, {"shares": [2, 1, 1]}], "")


def test_nothing_is_answered_by_nothing(calc: Calc) -> None:
    assert calc(b"") == (0, [], "")


@pytest.mark.parametrize(
    ("content", "errors"),
    [
        (GOOD % 3, [False]),
        (GOOD % 3 + b"\r\n" + GOOD % 3 + b"\r\n", [False, False]),
        (b"\xef\xbb\xbf" + GOOD % 3 + b"\n", [False]),
        (GOOD % 3 + b"\n\xef\xbb\xbf" + GOOD % 3, [False, True]),
        (b"\n\r\n \n", [True, True, True]),
        (b"\r", [True]),
        (b"\x00\n" + GOOD % 3, [True, False]),
        (GOOD % 3 + b"\x0b" + GOOD % 3 + b"\x85\xe2\x80\xa8\n", [True]),
        (b'{"op":"split","op":"split"}\n{"op":"\xc0\x80"}\n' + GOOD % 3, [True, True, False]),
    ],
    ids=["no end", "CRLF", "BOM", "BOM later", "empty lines", "CR alone", "NUL", "other ends of lines", "bad lines"],
)
def test_a_line_is_what_ends_in_a_newline_and_each_has_one_answer(calc: Calc, content: bytes, errors: list[bool]) -> None:
    code, answers, err = calc(content)
    assert ["error" in answer for answer in answers] == errors
    assert (code, err) == (2 if any(errors) else 0, "")


def test_a_line_of_a_megabyte_is_answered_and_one_that_is_too_long_is_passed_over(calc: Calc) -> None:
    weights = ",".join(["1"] * 500_000)
    megabyte = f'{{"op":"split","total_fen":500000,"weights":[{weights}]}}'.encode()
    code, answers, _ = calc(b"\n".join([megabyte, b" " * 40_000_000 + GOOD % 3, GOOD % 3, b'{"op":"' + b"x" * 1_000_000]))
    assert code == 2
    assert answers[0] == {"shares": [1] * 500_000}
    assert [answer.get("error") for answer in answers] == [None, "too_large", None, "not_json"]
    assert answers[2] == {"shares": [1, 1, 1]}


def test_a_line_is_answered_before_the_next_one_is_written(process: Start) -> None:
    buffered = {"PYTHONUNBUFFERED": ""}  # an environment that says so would hide a missing flush
    with process("calc", stdin=subprocess.PIPE, extra=buffered) as running:
        assert running.stdin is not None and running.stdout is not None
        for total in (3, 4, 5):
            running.stdin.write(GOOD % total + b"\n")
            running.stdin.flush()
            assert select.select([running.stdout], [], [], ENDS_S)[0]
            assert sum(json.loads(running.stdout.readline())["shares"]) == total
        running.stdin.close()
        assert running.wait(ENDS_S) == 0


def test_a_file_is_read_as_standard_input_is(calc: Calc, tmp_path: Path) -> None:
    (tmp_path / "questions.jsonl").write_bytes(GOOD % 3 + b"\nx\n")
    code, answers, _ = calc(b"", "questions.jsonl")
    assert (code, answers[0], answers[1]["error"]) == (2, {"shares": [1, 1, 1]}, "not_json")
    assert calc(GOOD % 3, "-")[1] == [{"shares": [1, 1, 1]}]


@pytest.mark.parametrize("name", ["no/such", ".", "a\x1b[2Jb"])
def test_a_file_that_cannot_be_read_is_a_sentence(calc: Calc, name: str) -> None:
    code, answers, err = calc(b"", name)
    assert (code, answers) == (2, [])
    assert err.startswith("cannot read ") and "\x1b" not in err and "Traceback" not in err


def test_without_standard_input_it_says_what_to_do(process: Start) -> None:
    running = process("calc", stdin=None, preexec_fn=lambda: os.close(0))
    out, err = running.communicate(timeout=ENDS_S)
    assert (running.returncode, out) == (2, b"")
    assert b"standard input is closed" in err


def test_a_table_is_json_too(calc: Calc) -> None:
    assert calc(GOOD % 3, "--table") == calc(GOOD % 3, "--json") == (0, [{"shares": [1, 1, 1]}], "")


def test_when_nobody_reads_any_more_it_ends_in_silence(process: Start) -> None:
    running = process("calc", stdin=subprocess.PIPE)
    assert running.stdin is not None and running.stdout is not None
    running.stdin.write(PLAN % 1_000_000 + b"\n")
    running.stdin.flush()
    assert json.loads(running.stdout.readline())["sum_principal_fen"] == 1_000_000
    running.stdout.close()
    running.stdout = None
    _, err = running.communicate((PLAN % 1_000_000 + b"\n") * 200, timeout=ENDS_S)
    assert (running.returncode, err) == (141, b"")


def test_an_interrupt_while_it_waits_for_a_line_is_no_traceback(process: Start) -> None:
    running = process("calc", stdin=subprocess.PIPE)
    assert running.stdin is not None and running.stdout is not None
    running.stdin.write(GOOD % 3 + b"\n")
    running.stdin.flush()
    assert running.stdout.readline()
    running.send_signal(signal.SIGINT)
    assert running.wait(ENDS_S) == 130
    assert running.stderr is not None and running.stderr.read() == b""
    running.stdin.close()
    running.stdout.close()
    running.stderr.close()


def test_it_makes_no_file_and_needs_no_platform(calc: Calc, tmp_path: Path) -> None:
    assert calc(PLAN % 1 + b"\n" + PLAN % 10**15)[0] == 0
    assert list(tmp_path.iterdir()) == []
