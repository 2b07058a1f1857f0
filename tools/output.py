"""What a command prints: data on standard output, as a table for eyes or JSON lines for machines; words on standard error.

A terminal gets a table, a pipe gets JSON lines, unless `--json` or `--table` says otherwise. Ids are never cut: other
columns give way, and where there is no room at all every row becomes a block of lines (CASES B28).
"""

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple, NoReturn

TABLE_WIDTH_PIPED: Final = 100_000  # a forced table in a pipe has the width that it needs
FOLDED_MIN_CELLS: Final = 8  # a column that gives way keeps so much
GAP: Final = 2
PLAUSIBLE_MS: Final = range(946_684_800_000, 7_258_118_400_000)  # 2000 to 2199: what is outside was never milliseconds

# Controls, bidi overrides, line separators and lone surrogates: a terminal obeys them, a line-reader splits at them.
_HOSTILE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff\ufffe\uffff]")


class WrongUse(Exception):
    """The command was used wrongly, or cannot work like this: exit code 2, and the sentence says what to do."""


class Failed(Exception):
    """The command has a finding or could not do its work: exit code 1, and the sentence says what and which."""


class NobodyReads(Exception):
    """Whoever read our output has left: nothing is said about it."""


class Verbatim(str):
    """JSON text that is printed as it is: a number keeps every digit it came with."""

    __slots__ = ()


class Column(NamedTuple):
    """One column of a table: the row's field; an id is never cut, a number stands to the right, a spare one may be left out."""

    field: str
    fixed: bool = False
    number: bool = False
    spare: bool = False


Row = Mapping[str, Any]


class Output:
    """Where one command prints to, and how."""

    def __init__(self, *, as_json: bool = False, as_table: bool = False) -> None:
        if as_json and as_table:
            raise WrongUse("say --json or --table, not both")
        self.is_table = as_table or (not as_json and is_terminal())

    def rows(self, rows: Iterable[Row], columns: Sequence[Column], *, empty: str) -> None:
        """Print rows; JSON has every field, a table the columns. Without any, `empty` says so on standard error."""
        listed = list(rows)
        if self.is_table:
            if listed:
                write(table(listed, columns))
        else:
            for row in listed:
                self.json(row)
        if not listed:
            say(empty)
        flush()

    def json(self, value: object) -> None:
        """Print one JSON value as one line."""
        write(f"{to_json(value)}\n")

    def block(self, fields: Row) -> None:
        """Print one thing: a JSON line, or its fields one below the other."""
        if self.is_table:
            write(block(fields))
        else:
            self.json(fields)
        flush()


def is_terminal() -> bool:
    """Whether standard output is a person's terminal."""
    return sys.stdout is not None and sys.stdout.isatty()


def write(text: str) -> None:
    """Data, to standard output. Raises Failed when there is none, OSError as the system says."""
    if sys.stdout is None:
        _closed()
    sys.stdout.write(text)


def write_bytes(content: bytes) -> None:
    """Data as it is, to standard output."""
    if sys.stdout is None:
        _closed()
    sys.stdout.flush()
    sys.stdout.buffer.write(content)


def flush() -> None:
    """Hand on what was written, so that a full disk is noticed and a follower is prompt."""
    if sys.stdout is not None:
        sys.stdout.flush()


def say(sentence: str) -> None:
    """A sentence or progress, to standard error."""
    if sys.stderr is not None:
        print(printable(sentence, keep_lines=True), file=sys.stderr, flush=True)


def _closed() -> NoReturn:
    raise Failed("standard output is closed: there is nowhere to print to")


def reader_is_gone() -> bool:
    """Whether whoever read our pipe has left; a follower on a quiet topic would never notice (CASES B25)."""
    import select

    try:
        poll = select.poll()
        poll.register(sys.stdout.fileno(), 0)
        return any(event & (select.POLLERR | select.POLLHUP | select.POLLNVAL) for _, event in poll.poll(0))
    except (OSError, ValueError, AttributeError):
        return False


def printable(text: str, *, keep_lines: bool = False) -> str:
    """The text with everything escaped that a terminal would obey or a line-reader would split at."""
    return _HOSTILE.sub(lambda found: found[0] if keep_lines and found[0] == "\n" else _escaped(found[0]), text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def to_json(value: object) -> str:
    """One line of JSON, numbers exact, hostile characters as \\u escapes."""
    match value:
        case Verbatim():
            text = str(value)
        case Mapping():
            text = "{" + ",".join(f"{to_json(str(k))}:{to_json(v)}" for k, v in value.items()) + "}"
        case list() | tuple():
            text = "[" + ",".join(map(to_json, value)) + "]"
        case _:
            text = json.dumps(value, ensure_ascii=False)
    return _HOSTILE.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def instant(at_ms: int | None) -> str | None:
    """An instant as people read it, UTC with milliseconds; None for one that cannot be meant (CASES B16)."""
    if at_ms is None or at_ms not in PLAUSIBLE_MS:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def span(length_ms: int | None) -> str:
    """A length of time as people read it."""
    if length_ms is None:
        return "unknown"
    if abs(length_ms) < 1000:
        return f"{length_ms} ms"
    seconds = length_ms / 1000
    for unit, size in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if abs(seconds) >= 2 * size:
            return f"{seconds / size:.1f} {unit}"
    return f"{seconds:.1f} s"


def cell(value: object) -> str:
    """A field as a table shows it."""
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list() | tuple():
            return ", ".join(map(cell, value))
        case Mapping():
            return to_json(value)
    return printable(str(value))


def block(fields: Row) -> str:
    """One thing, a line a field."""
    width = max((len(name) for name in fields), default=0)
    return "".join(f"{name.replace('_', ' '):<{width}}  {cell(value)}\n" for name, value in fields.items())


def table(rows: Sequence[Row], columns: Sequence[Column]) -> str:
    """The rows as a table of the terminal's width. Without room, spare columns go first; then every row becomes a block."""
    width = _width()
    kept = list(columns)
    while _least(rows, kept) > width and any(column.spare for column in kept):
        kept.remove(next(column for column in reversed(kept) if column.spare))
    if _least(rows, kept) > width:
        return "\n".join(block({c.field: row.get(c.field) for c in columns}) for row in rows)
    if len(kept) < len(columns):
        say(f"not shown for want of room: {', '.join(c.field.replace('_', ' ') for c in columns if c not in kept)} (--json has everything)")
    return _rendered([[cell(row.get(column.field)) for column in kept] for row in rows], kept, width)


def _least(rows: Sequence[Row], columns: Sequence[Column]) -> int:
    """How many cells these columns need when those that can give way have done so."""
    from rich.cells import cell_len

    total = GAP * (len(columns) - 1)
    for column in columns:
        needed = max(cell_len(cell(row.get(column.field))) for row in rows)
        title = max(map(cell_len, column.field.split("_")))
        total += max(title, needed if column.fixed or column.number else min(needed, FOLDED_MIN_CELLS))
    return total


def _rendered(cells: Sequence[Sequence[str]], columns: Sequence[Column], width: int) -> str:
    from io import StringIO

    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column in columns:
        kept = column.fixed or column.number
        grid.add_column(column.field.replace("_", " "), no_wrap=kept, overflow="fold", justify="right" if column.number else "left")
    for line in cells:
        grid.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in line))
    out = StringIO()
    console = Console(file=out, width=width, force_terminal=is_terminal(), no_color="NO_COLOR" in os.environ or None, highlight=False)
    console.print(grid)
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


_STYLES: Final = {"ok": "green", "warn": "yellow", "fail": "red", "stuck": "red", "new": "yellow"}


def _width() -> int:
    if not is_terminal():
        return int(os.environ["COLUMNS"]) if os.environ.get("COLUMNS", "").isdigit() else TABLE_WIDTH_PIPED
    return os.get_terminal_size(sys.stdout.fileno()).columns or 80
