"""What the demo shows: what happened, the trace of one registration, and where to look further; with `--json` one object."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tools import trace
from tools.output import Column, Output, flush, write

if TYPE_CHECKING:
    from tools.demo import Outcome
    from tools.demo_story import Scene
    from tools.options import Options

COLUMNS: Final = (
    Column("who"),
    Column("does"),
    Column("http", number=True),
    Column("outcome"),
    Column("took_ms", number=True),
    Column("held"),
)


def line(scene: "Scene") -> str:
    """One scene as a line of progress."""
    return f"{'✓' if scene.held else '✗'} {scene.who} {scene.does}: {scene.status} {scene.outcome} ({scene.took_ms} ms)"


def show(options: "Options", outcome: "Outcome", *, serving: bool) -> None:
    """Print everything."""
    if options.is_json:
        options.out.json(as_json(outcome))
        flush()
        return
    out = Output(as_table=True)  # a story is for people, also in a pipe; machines say --json
    write("\n")
    out.rows([{**asdict(scene), "http": scene.status} for scene in outcome.scenes], COLUMNS, empty="nothing happened")
    _show_trace(out, outcome)
    write("\n")
    for text in (*_sums(outcome), "", *(_further(outcome) if serving else _later(outcome))):
        write(f"{text}\n")
    flush()


def as_json(outcome: "Outcome") -> dict[str, Any]:
    """The run as one object."""
    return {
        "held": outcome.held,
        "first_answer_ms": outcome.first_answer_ms,
        "url": outcome.url,
        "data": outcome.folder,
        "scenes": [asdict(scene) for scene in outcome.scenes],
        "check": {"ok": not outcome.findings, "findings": outcome.findings},
        "trace": trace.as_json(outcome.trace) if outcome.trace else None,
    }


def _show_trace(out: Output, outcome: "Outcome") -> None:
    if outcome.trace is None:
        return
    rows = [{**row, "clock": row["time"][11:23]} for row in trace.step_rows(outcome.trace)]
    write(f"\nThe registration that had to wait, {outcome.trace.trace}:\n")
    out.rows(rows, trace.STEPS, empty="no message of it is known")


def _sums(outcome: "Outcome") -> list[str]:
    held = "The story held." if outcome.held else "The story did NOT hold."
    first = (
        "" if outcome.first_answer_ms is None else f" First registration answered {outcome.first_answer_ms / 1000:.2f} s after the start."
    )
    checked = "The stores agree." if not outcome.findings else "The stores disagree:"
    return [f"{held} {checked}{first}", *outcome.findings]


def _further(outcome: "Outcome") -> list[str]:
    registrations = f"{outcome.url}/api/v1/registrations"
    body = '{"login_name":"ming_01","mobile":"13812345678","password":"a long pass phrase","role":"investor"}'
    status = next((scene.location for scene in outcome.scenes if scene.location), "")
    return [
        f"curl -sS '{outcome.url}/readyz'",
        f"curl -sS '{outcome.url}/openapi.json'",
        f"curl -sS '{outcome.url}{status}'",
        f"curl -sS '{registrations}' -H \"Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)\" \\",
        f"  -H 'Content-Type: application/json' -d '{body}'",
        *_later(outcome),
    ]


def _later(outcome: "Outcome") -> list[str]:
    which = outcome.trace.trace if outcome.trace else "ID"
    place = " ".join((f"--data '{outcome.folder}'", *(f"'{word}'" if ":" in word else word for word in outcome.place)))
    return [f"lendbus trace {which} {place}", f"lendbus tail {place}"]
