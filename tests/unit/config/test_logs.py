import io
import json
import logging
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from config import logs

SEALED = "s1.k1.QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVo"


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level, ours = root.handlers[:], root.level, logging.getLogger(logs.ROOT).level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.getLogger(logs.ROOT).setLevel(ours)
    logging.captureWarnings(False)


def written(say: Callable[[Any], None], *, format: str = "json", level: str = "info") -> list[str]:
    out = io.StringIO()
    logs.configure(level=level, format=format, stream=out)
    say(logs.get("relay"))
    return out.getvalue().splitlines()


def event(say: Callable[[Any], None]) -> dict[str, Any]:
    (line,) = written(say)
    return dict(json.loads(line))


def test_a_line_has_its_time_in_utc_its_level_its_part_and_its_fields() -> None:
    got = event(lambda log: log.info("sent", rows=12))
    assert got.pop("time").endswith("Z")
    assert got == {"level": "info", "event": "sent", "logger": "lendbus.relay", "rows": 12}


def test_a_line_for_people_begins_with_time_level_and_event() -> None:
    (line,) = written(lambda log: log.warning("broker away", url="kafka://x:1", tries=3, why="no route"), format="console")
    assert line.split("Z ")[1] == 'warning  broker away logger=lendbus.relay tries=3 url=kafka://x:1 why="no route"'


def test_every_line_within_a_trace_carries_it_also_those_of_libraries() -> None:
    def say(log: Any) -> None:
        with logs.bind_trace("t-1"):
            log.info("one")
            logging.getLogger("mode.services").warning("two %s", 2)
        log.info("three")

    assert [(e["event"], e.get("trace")) for e in map(json.loads, written(say))] == [("one", "t-1"), ("two 2", "t-1"), ("three", None)]


def test_libraries_speak_from_warning_on_and_we_from_our_level_on() -> None:
    def say(log: Any) -> None:
        for name in ("faust.app", "mode.services", "alembic", "aiohttp.access"):
            logging.getLogger(name).info("chatter")
        logging.getLogger("mode.services").error("heard")
        log.debug("quiet")
        log.info("said")

    assert [json.loads(line)["event"] for line in written(say)] == ["heard", "said"]
    assert len(written(lambda log: log.debug("now"), level="debug")) == 1


def test_pythons_warnings_are_log_lines() -> None:
    def say(_: Any) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("old\nthing", stacklevel=1)

    (line,) = written(say, format="console")
    assert "old\\nthing" in line


@pytest.mark.parametrize(
    "name",
    [
        "password",
        "password_hash",
        "new_password",
        "mobile",
        "id_number",
        "card",
        "token",
        "X-Token",
        "Authorization",
        "client_secret",
        "Idempotency-Key",
    ],
)
def test_what_is_secret_by_name_is_masked_at_any_depth(name: str) -> None:
    got = event(lambda log: log.info("x", **{name: "13800000000"}, body={"inner": [{name: "13800000000"}]}))
    assert "13800000000" not in json.dumps(got)
    assert got[name] == "***"


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_sealed_value_is_masked_wherever_it_stands(format: str) -> None:
    def say(log: Any) -> None:
        log.info("got %s", SEALED, actor=SEALED, rows=[SEALED, (SEALED, {"x": f"<{SEALED}>"})])
        logging.getLogger("faust").warning("cannot decode %r", {"mobile": SEALED})
        try:
            raise ValueError(SEALED)
        except ValueError:
            log.exception("failed")

    lines = written(say, format=format)
    assert len(lines) == 3
    assert "QUJD" not in "".join(lines)


class Body(BaseModel):
    amount_fen: int


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_failed_validation_does_not_quote_what_it_was_given(format: str) -> None:
    def say(log: Any) -> None:
        try:
            Body.model_validate({"amount_fen": "hunter" + "2"})
        except ValueError:
            log.exception("bad body")

    (line,) = written(say, format=format)
    assert "amount_fen" in line
    assert "hunter2" not in line


def test_a_password_in_a_url_is_masked() -> None:
    got = event(lambda log: log.info("connecting to postgresql://u:hunter2@db/x", url="kafka://me:hunter2@broker:9092"))
    assert "hunter2" not in json.dumps(got)
    assert got["url"] == "kafka://me:***@broker:9092"


@pytest.mark.parametrize("format", ["json", "console"])
def test_a_traceback_is_one_line(format: str) -> None:
    def say(log: Any) -> None:
        try:
            raise KeyError("a\nb")
        except KeyError:
            log.exception("failed", who="x")

    (line,) = written(say, format=format)
    assert "Traceback" in line
    assert "KeyError" in line


def test_nothing_in_a_value_makes_a_second_line_or_moves_the_cursor() -> None:
    (line,) = written(lambda log: log.info("a\nb\x1b[2J", **{"k\r\n": "v\u2028\u202e\x85\ud800", "名": "李明 👍"}), format="console")
    assert line.split("Z ")[1] == 'info     a\\nb\\x1b[2J logger=lendbus.relay k\\r\\n="v\\u2028\\u202e\\x85\\ud800" 名="李明 👍"'


NAMES = st.text(st.characters()).filter(lambda name: name not in {"event", "self"})


@given(st.dictionaries(NAMES, st.text(st.characters()) | st.integers(), max_size=3))
def test_one_event_is_one_line_whatever_is_in_it(fields: dict[str, Any]) -> None:
    for form in ("json", "console"):
        assert len(written(lambda log: log.info("x", **fields), format=form)) == 1


def test_bytes_and_endless_things_are_not_printed_whole() -> None:
    nested: Any = "end"
    for _ in range(50):
        nested = [nested]
    got = event(lambda log: log.info("x", raw=b"\x00" * 9, long="a" * 100_000 + "the end", nested=nested))
    assert got["raw"] == "<9 bytes>"
    assert len(got["long"]) < 9_000
    assert got["long"].endswith("the end")
    assert "end" not in json.dumps(got["nested"])


def test_masking_does_not_wait_for_a_configuration(capsys: pytest.CaptureFixture[str]) -> None:
    logging.getLogger().handlers[:] = []
    logs.get("early").error("x", password="hunter2", actor=SEALED)
    out, err = capsys.readouterr()
    assert out == ""
    assert "hunter2" not in err
    assert "QUJD" not in err


def test_a_log_goes_to_standard_error_and_importing_costs_no_structlog() -> None:
    code = "import sys; from config import logs; assert 'structlog' not in sys.modules; logs.configure(); logs.get('x').info('hello')"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == ""
    assert ran.stderr.rstrip().endswith("hello logger=lendbus.x")


def test_a_line_without_an_event_and_with_odd_numbers_is_still_a_line() -> None:
    (line,) = written(lambda log: log.info(_private="s1.k1.QUJD", share=float("nan")), format="console")
    assert line.endswith("logger=lendbus.relay _private=s1.*** share=nan")
    assert event(lambda log: log.info(share=float("inf")))["share"] == "inf"
