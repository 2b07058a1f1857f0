"""Logs: one event is one line on standard error, with its time (UTC), level and trace id, and nothing sealed or secret in it.

Our own lines and those of the libraries (from WARNING on) take one way. Masking happens before a line is handed on, so
it holds even where nobody has called `configure`. structlog is imported when the first logger is made.
"""

import json
import logging
import math
import re
import sys
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, TextIO

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger
    from structlog.typing import Processor

ROOT: Final = "lendbus"
MASK: Final = "***"
DEPTH_MAX: Final = 6  # how deep a value is looked into; what lies deeper is not printed
VALUE_CHARS_MAX: Final = 8_000  # a longer text is cut in its middle: the end of a traceback says what happened
INTEGER_BITS_MAX: Final = 8_192  # Python refuses to print much longer ones

_SECRET_NAMES: Final = frozenset(
    {"mobile", "phone", "id_number", "real_name", "card", "bank_card", "card_number", "one_time_code", "authorization", "cookie"}
)
_SECRET_PARTS: Final = ("password", "token", "secret", "idempotency")
_SEALED = re.compile(r"s1\.[a-z0-9]+\.[A-Za-z0-9_-]*")
_VALIDATION_INPUT = re.compile(r"input_value=.*?(?=, input_type=|\Z)", re.DOTALL)  # how pydantic quotes what it was given
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:\s]*):[^/@\s]*@")
_BARE = re.compile(r"[^\s\"'=\\]+")

_STRUCTLOGS: Final = frozenset({"_record", "_from_structlog"})  # what the formatter itself puts in and takes out

Event = MutableMapping[str, Any]


def configure(*, level: str = "info", format: str = "console", stream: TextIO | None = None) -> None:
    """Send every log line of this process to `stream` (standard error); `format` is `console` or `json`. Call again to change."""
    import structlog
    from structlog.stdlib import ProcessorFormatter

    structlog.configure(  # for modules that ask structlog itself for their logger
        processors=_processors(), wrapper_class=structlog.stdlib.BoundLogger, logger_factory=structlog.stdlib.LoggerFactory()
    )
    handler = logging.StreamHandler(stream or sys.stderr)
    render = _json_line if format == "json" else _console_line
    handler.setFormatter(ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, render], foreign_pre_chain=_shared()))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger(ROOT).setLevel(level.upper())
    logging.captureWarnings(True)


def get(name: str) -> "BoundLogger":
    """The logger of a part: `get("relay").info("sent", rows=12)`. Events are short and constant, what varies goes into fields."""
    import structlog

    logger: BoundLogger = structlog.wrap_logger(
        logging.getLogger(f"{ROOT}.{name}"), processors=_processors(), wrapper_class=structlog.stdlib.BoundLogger, context_class=dict
    )
    return logger


@contextmanager
def bind_trace(trace_id: str) -> Iterator[None]:
    """Within the block, and in the tasks that it starts, every line carries this trace id."""
    from structlog.contextvars import bound_contextvars

    with bound_contextvars(trace=trace_id):
        yield


def mask(value: object) -> Any:
    """A value as it may be printed: what is known to be sealed or secret is replaced, in mappings and lists too."""
    return _masked(value, DEPTH_MAX)


def _processors() -> "list[Processor]":
    import structlog

    return [structlog.stdlib.filter_by_level, *_shared(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter]


def _shared() -> "list[Processor]":
    import structlog

    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.PositionalArgumentsFormatter(),
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        _mask_event,
    ]


def _mask_event(_: object, __: str, event: Event) -> Event:
    return {key: value if key in _STRUCTLOGS else MASK if _is_secret(key) else _masked(value, DEPTH_MAX) for key, value in event.items()}


def _is_secret(key: str) -> bool:
    name = key.lower().replace("-", "_")
    return name in _SECRET_NAMES or any(part in name for part in _SECRET_PARTS)


def _masked(value: object, depth: int) -> Any:
    match value:
        case int() if value.bit_length() > INTEGER_BITS_MAX:
            return f"<an integer of {value.bit_length()} bits>"
        case None | bool() | int():
            return value
        case float():
            return value if math.isfinite(value) else str(value)  # JSON has no NaN
        case str():
            return _masked_text(value)
        case _ if depth == 0:
            return "…"
        case Mapping():
            return {(name := _text(k)): MASK if _is_secret(name) else _masked(v, depth - 1) for k, v in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_masked(item, depth - 1) for item in value]
        case bytes() | bytearray():
            return f"<{len(value)} bytes>"
        case _:
            return _masked_text(_text(value))


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001  (a log line must not fail its caller, whatever is in it)
        return f"<{type(value).__name__} that cannot be printed>"


def _masked_text(text: str) -> str:
    if len(text) > VALUE_CHARS_MAX:
        text = f"{text[: VALUE_CHARS_MAX // 2]} … {len(text)} characters … {text[-VALUE_CHARS_MAX // 2 :]}"
    text = _VALIDATION_INPUT.sub(f"input_value={MASK}", _SEALED.sub(f"s1.{MASK}", text))
    return _URL_PASSWORD.sub(rf"\1:{MASK}@", text)


def _json_line(_: object, __: str, event: Event) -> str:
    return json.dumps(_ordered(event))


def _console_line(_: object, __: str, event: Event) -> str:
    fields = _ordered(event)
    head = f"{fields.pop('time')} {fields.pop('level'):<8} {_one_line(str(fields.pop('event', '')))}"
    return " ".join([head, *(f"{_one_line(name)}={_quoted(value)}" for name, value in fields.items())])


def _ordered(event: Event) -> dict[str, Any]:
    first = ("time", "level", "event", "trace", "logger")
    last = ("stack", "exception")
    middle = sorted(name for name in event if name not in first + last)
    return {name: event[name] for name in (*first, *middle, *last) if name in event}


def _quoted(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    escaped = _one_line(text)
    return escaped if not isinstance(value, str) or _BARE.fullmatch(text) else f'"{escaped}"'


def _one_line(text: str) -> str:
    """Controls, line separators, bidi marks and lone surrogates escaped: a value never makes a second line or moves the cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
