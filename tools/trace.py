"""`lendbus trace ID`: the whole story of one id, as a table, as JSON, or as a sequence diagram."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.options import Options
from tools.output import Column, Failed, flush, instant, printable, say, write

if TYPE_CHECKING:
    from tools.tracing import Story

STEPS = (
    Column("clock", fixed=True),
    Column("gap_ms", number=True),
    Column("from"),
    Column("to"),
    Column("type"),
    Column("effect"),
)
WAITING = (Column("service"), Column("kind"), Column("what"), Column("at"), Column("id", fixed=True))
STATES = (Column("service"), Column("thing"), Column("state"), Column("reason"), Column("id", fixed=True))


def command(
    options: Options,
    which: Annotated[str, typer.Argument(metavar="ID", help="A business id, trace id, message id, or a dead letter's id.")],
    mermaid: Annotated[bool, typer.Option("--mermaid", help="A Mermaid sequence diagram.")] = False,
) -> None:
    """What happened to one id: every message in order of time, who said it to whom, what came of it, and what still waits."""
    from tools.tracing import story

    told = options.run(story(options.settings, which))
    if told.is_empty:
        raise Failed(f"nothing is known of {which}: ids are printed by `lendbus tail`, `lendbus stuck ls` and the API")
    if mermaid:
        write(diagram(told))
    elif options.out.is_table:
        _print_tables(options, told)
    else:
        options.out.json(as_json(told))
    flush()


def _print_tables(options: Options, told: "Story") -> None:
    rows = [{**row, "clock": row["time"][11:23]} for row in step_rows(told)]
    say(f"trace {told.trace}" + (f", from {rows[0]['time'][:10]} (UTC)" if rows else ""))
    options.out.rows(rows, STEPS, empty="no message of it is known")
    for rows, columns in ((told.waiting, WAITING), (told.states, STATES)):
        if rows:
            write("\n")
            options.out.rows(rows, columns, empty="")


def step_rows(told: "Story") -> list[dict[str, Any]]:
    """The steps as rows; `gap_ms` is the time since the step before, `caused` the types of what was said because of it."""
    from tools.tracing import caused

    because = caused(told.steps)
    rows = []
    before_ms: int | None = None
    for step in told.steps:
        said = because.get(step.message_id or "", [])
        rows.append(
            {
                "time": instant(step.at_ms) or str(step.at_ms),
                "at_ms": step.at_ms,
                "gap_ms": None if before_ms is None else step.at_ms - before_ms,
                "from": step.sender,
                "to": step.receiver,
                "type": step.type,
                "effect": step.effect,
                "actor": step.actor,
                "message_id": step.message_id,
                "causation_id": step.causation,
                "caused": said,
                "topic": step.topic,
                "partition": step.partition,
                "offset": step.offset,
                "said_ms": step.said_ms,
            }
        )
        before_ms = step.at_ms
    return rows


def as_json(told: "Story") -> dict[str, Any]:
    """The story as one object."""
    return {"id": told.id, "trace": told.trace, "steps": step_rows(told), "waiting": told.waiting, "states": told.states}


def diagram(told: "Story") -> str:
    """The story as a Mermaid sequence diagram: an arrow a message, a note for what waits and how things stand."""
    lines = ["sequenceDiagram"]
    names = dict.fromkeys(name for step in told.steps for name in (_actor(step.sender), _actor(step.receiver)))
    lines += [f"    participant {name}" for name in names]
    for row, step in zip(step_rows(told), told.steps, strict=True):
        gap = "" if row["gap_ms"] is None else f" (+{row['gap_ms']} ms)"
        lines.append(f"    {_actor(step.sender)}->>{_actor(step.receiver)}: {_label(step.type or 'gone from the bus')}{gap}")
        if step.effect not in ("handled", "on the bus"):
            lines.append(f"    Note over {_actor(step.receiver)}: {_label(step.effect)}")
    for note in (*told.waiting, *told.states):
        if (place := _actor(note["service"])) in names:
            lines.append(f"    Note over {place}: {_label(note.get('what') or note['thing'] + ' ' + note['state'])}")
    return "\n".join(lines) + "\n"


def _actor(name: str) -> str:
    plain = name.removesuffix(" (timer)").removesuffix(" (HTTP)").split(",")[0]
    return "".join(c if c.isalnum() else "_" for c in plain) or "unknown"


def _label(text: str) -> str:
    """Text that Mermaid takes as text: semicolons end a statement, # begins an entity."""
    return printable(text).replace("#", "＃").replace(";", ",")
