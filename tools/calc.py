"""`lendbus calc`: the money arithmetic for everybody who wants to check it against tables of his own (MONEY 5).

A line is read, answered and handed on before the next one is read, so it works as a partner at the other end of two pipes.
"""

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, BinaryIO, Final

import typer

from tools.calculator import LINE_BYTES_MAX, Answer, answer, refusal
from tools.options import Options
from tools.output import WrongUse, flush, write

EXIT_SOME_REFUSED: Final = 2
STANDARD_INPUT: Final = "-"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"  # some editors begin a file with it; in the middle of a file it is an error

File = Annotated[str, typer.Argument(metavar="[FILE]", help="Questions, one JSON object a line; standard input when it is left out.")]


def command(options: Options, file: File = STANDARD_INPUT) -> int:
    """Check the money arithmetic: a JSON object a line in, its answer out, in order. Always JSON; exit code 2 when a line was refused."""
    _ = options.settings  # wrong settings are said here as by every command
    refused = 0
    with _opened(file) as source:
        for line in _lines(source):
            answered = answer(line) if len(line) <= LINE_BYTES_MAX else _too_long()
            refused += "error" in answered
            write(f"{json.dumps(answered, separators=(',', ':'))}\n")
            flush()
    return EXIT_SOME_REFUSED if refused else 0


def _too_long() -> Answer:
    return refusal("too_large", f"a line is at most {LINE_BYTES_MAX} bytes")


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    if file == STANDARD_INPUT:
        if sys.stdin is None:
            raise WrongUse("standard input is closed: name a file, or pipe questions in")
        yield sys.stdin.buffer
        return
    try:
        source = open(file, "rb")  # noqa: SIM115  (what goes wrong while it is read is not said to be its opening)
    except (OSError, ValueError) as exc:
        raise WrongUse(f"cannot read {file!r}: {getattr(exc, 'strerror', None) or exc}; name a file of questions, one a line") from None
    with source:
        yield source


def _lines(source: BinaryIO) -> Iterator[bytes]:
    """Every line without its end, as soon as it is whole. Of one that is too long only the beginning is kept, the rest is passed over."""
    most = LINE_BYTES_MAX + 2  # a line that is just not too long has its end in it
    at_start = True
    while line := source.readline(most):
        kept = line
        while not line.endswith(b"\n") and (line := source.readline(most)):
            pass
        kept = kept.removesuffix(b"\n").removesuffix(b"\r")
        yield kept.removeprefix(BYTE_ORDER_MARK) if at_start else kept
        at_start = False
