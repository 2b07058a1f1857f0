"""What the demo shows: what happened, where every yuan is, the trace of the loan, and where to look further; with `--json` one object."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from tools import trace
from tools.output import Column, Output, flush, write
from tools.story.play import yuan

if TYPE_CHECKING:
    from tools.demo import Outcome
    from tools.options import Options

COLUMNS: Final = (
    Column("who"),
    Column("does"),
    Column("http", number=True),
    Column("outcome"),
    Column("took_ms", number=True),
    Column("held"),
)
MONEY: Final = (Column("account"), Column("available", number=True), Column("held", number=True))


def show(options: "Options", outcome: "Outcome", *, serving: bool) -> None:
    """Print everything."""
    if options.is_json:
        options.out.json(as_json(outcome))
        flush()
        return
    out = Output(as_table=True)  # a story is for people, also in a pipe; machines say --json
    write("\n")
    out.rows([{**asdict(scene), "http": scene.status} for scene in outcome.scenes], COLUMNS, empty="nothing happened")
    _show_money(out, outcome)
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
        "story_ms": outcome.story_ms,
        "waited_for_own_faults_ms": outcome.waited_ms,
        "lost_webhooks": outcome.lost_webhooks,
        "url": outcome.url,
        "bank_url": outcome.bank_url,
        "data": outcome.folder,
        "ended": outcome.ended,
        "scenes": [asdict(scene) for scene in outcome.scenes],
        "held_up": outcome.held_up,
        "balances": {name: balance._asdict() for name, balance in outcome.balances.items()},
        "check": {"ok": not outcome.findings and not outcome.unbalanced, "findings": [*outcome.findings, *outcome.unbalanced]},
        "trace": trace.as_json(outcome.trace) if outcome.trace else None,
    }


def _show_money(out: Output, outcome: "Outcome") -> None:
    """Every account at the bank, and what they add up to."""
    if not outcome.balances:
        return
    rows = [{"account": n, "available": yuan(b.available_fen), "held": yuan(b.held_fen)} for n, b in outcome.balances.items()]
    total = sum(b.available_fen + b.held_fen for b in outcome.balances.values())
    write("\nWhere every yuan is, as the bank's books have it:\n")
    out.rows([*rows, {"account": "all of them", "available": yuan(total), "held": ""}], MONEY, empty="")


def _show_trace(out: Output, outcome: "Outcome") -> None:
    if outcome.trace is None:
        return
    rows = [{**row, "clock": row["time"][11:23]} for row in trace.step_rows(outcome.trace)]
    write(f"\nThe loan, message by message, {outcome.trace.trace}:\n")
    out.rows(rows, trace.STEPS, empty="no message of it is known")


def _sums(outcome: "Outcome") -> list[str]:
    held = "The story held." if outcome.held else "The story did NOT hold."
    clean = "The stores agree." if not outcome.findings else "The stores disagree:"
    first = (
        "" if outcome.first_answer_ms is None else f" First registration answered {outcome.first_answer_ms / 1000:.2f} s after the start."
    )
    lines = [f"{held} {clean}{first}", *outcome.findings, *outcome.unbalanced]
    if outcome.ended:
        lines.append(f"It could not go on: {outcome.ended}")
    if outcome.story_ms:
        own_s, waited_s = (outcome.story_ms - outcome.waited_ms) / 1000, outcome.waited_ms / 1000
        lines.append(
            f"The whole story took {own_s:.1f} s, besides {waited_s:.1f} s in the scenes that its own faults held up"
            f" ({outcome.lost_webhooks} webhooks lost):"
        )
        lines += [f"  {scene.split(':')[0]}: {why}" for scene, why in outcome.held_up.items()]
    return lines


def _further(outcome: "Outcome") -> list[str]:
    registrations = f"{outcome.url}/api/v1/registrations"
    body = '{"login_name":"ming_01","mobile":"13812345678","password":"a long pass phrase","role":"investor"}'
    return [
        *(f"{member.part}: log in as {member.login_name} with {member.password}" for member in outcome.staff),
        f"curl -sS '{outcome.url}/readyz'",
        f"curl -sS '{outcome.url}/openapi.json'",
        f"curl -sS '{outcome.bank_url}/readyz'",
        f"curl -sS '{registrations}' -H \"Idempotency-Key: $(cat /proc/sys/kernel/random/uuid)\" \\",
        f"  -H 'Content-Type: application/json' -d '{body}'",
        *_later(outcome),
    ]


def _later(outcome: "Outcome") -> list[str]:
    which = outcome.trace.trace if outcome.trace else "ID"
    place = " ".join((f"--data '{outcome.folder}'", *(f"'{word}'" if ":" in word else word for word in outcome.place)))
    return [f"lendbus trace {which} {place}", f"lendbus check {place}", f"lendbus tail {place}"]
