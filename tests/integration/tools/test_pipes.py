"""Standard output in real life (CASES B25): real processes, so that the interpreter's end is tested with it."""

import os
import signal
import subprocess
import time
from collections.abc import Callable

import pytest

from tests.integration.tools.conftest import Folder, a_record

Start = Callable[..., "subprocess.Popen[bytes]"]
ENDS_S = 20


def ended(process: "subprocess.Popen[bytes]") -> tuple[int, str]:
    """Exit code and standard error; no traceback in it."""
    _, err = process.communicate(timeout=ENDS_S)
    said = (err or b"").decode()
    assert "Traceback" not in said and "Exception ignored" not in said, said
    return process.returncode, said


@pytest.fixture
def full(folder: Folder) -> Folder:
    """More than a pipe holds."""
    folder.append(*(a_record(b"x" * 500) for _ in range(1000)))
    return folder


def test_head_takes_one_line_and_the_rest_ends_in_silence(full: Folder, process: Start) -> None:
    run = process("tail", "--from", "earliest", "--data", str(full.path))
    assert run.stdout is not None
    assert run.stdout.readline().startswith(b'{"topic"')
    run.stdout.close()
    run.stdout = None
    assert ended(run) == (141, "")


def test_a_follower_of_a_quiet_topic_ends_when_nobody_reads(folder: Folder, process: Start) -> None:
    folder.append(a_record(b"1"))
    run = process("tail", "-f", "--data", str(folder.path))
    assert run.stdout is not None
    assert run.stdout.readline()
    run.stdout.close()
    run.stdout = None
    assert ended(run) == (0, "")


def test_a_follower_shows_what_is_appended_and_ends_on_ctrl_c(folder: Folder, process: Start) -> None:
    folder.append(a_record(b"1"))
    run = process("tail", "-f", "--raw", "--data", str(folder.path))
    assert run.stdout is not None
    assert run.stdout.readline() == b"1\n"
    folder.append(a_record(b"2"), a_record(b"3", topic="users.events"))
    assert sorted(run.stdout.readline() for _ in range(2)) == [b"2\n", b"3\n"]
    run.send_signal(signal.SIGINT)
    assert ended(run) == (130, "")


def test_a_full_disk_is_a_sentence_and_no_success(full: Folder, process: Start) -> None:
    with open("/dev/full", "wb") as nowhere:
        code, said = ended(process("tail", "--from", "earliest", "--data", str(full.path), stdout=nowhere))
    assert code == 1
    assert "No space left" in said


def test_a_full_disk_is_noticed_by_a_short_answer_too(folder: Folder, process: Start) -> None:
    for arguments in (["topics", "ls"], ["settings", "--table"], ["tail"]):
        folder.append(a_record(b"1"))
        with open("/dev/full", "wb") as nowhere:
            code, said = ended(process(*arguments, "--data", str(folder.path), stdout=nowhere))
        assert (code, "No space left" in said) == (1, True)


def test_a_closed_standard_output_is_a_sentence(folder: Folder, process: Start) -> None:
    run = process("topics", "ls", "--data", str(folder.path), stdout=None, preexec_fn=lambda: os.close(1))
    code, said = ended(run)
    assert code == 1
    assert "standard output is closed" in said


def test_forty_columns_and_no_color(folder: Folder, process: Start) -> None:
    run = process("topics", "ls", "--table", "--data", str(folder.path), extra={"COLUMNS": "40", "NO_COLOR": "1"})
    out, _ = run.communicate(timeout=ENDS_S)
    assert run.returncode == 0
    assert b"\x1b" not in out
    assert b"accounts.commands" in out


def test_help_is_quick_enough_to_be_asked_for(process: Start) -> None:
    begun = time.monotonic()
    out, _ = process("--help").communicate(timeout=ENDS_S)
    assert b"Usage: lendbus" in out
    assert time.monotonic() - begun < ENDS_S / 4


def test_completion_offers_commands_and_their_options(folder: Folder, process: Start) -> None:
    def offered(words: str) -> str:
        extra = {"_LENDBUS_COMPLETE": "complete_bash", "COMP_WORDS": words, "COMP_CWORD": str(len(words.split()))}
        out, _ = process(extra=extra).communicate(timeout=ENDS_S)
        return str(out.decode())

    assert "trace" in offered("lendbus ")
    assert "redrive" in offered("lendbus dlq ")
