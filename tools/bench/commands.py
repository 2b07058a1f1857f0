"""`lendbus bench …`: figures with their conditions, compared with a floor or a peer in the same run, against their bars."""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tools.options import Options
from tools.output import Column, Failed, WrongUse

if TYPE_CHECKING:
    from tools.bench.report import Report

COLUMNS = (Column("figure", fixed=True), Column("value", number=True), Column("bar", number=True), Column("ok"))


def loop(
    options: Options,
    messages: Annotated[int, typer.Option("--messages", min=1_000, max=1_000_000, help="How many go through.")] = 40_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=25, help="Both sides in turn, so often; medians.")] = 5,
) -> int:
    """Messages a second through decode, inbox, load, behave, save, outbox, relay, delete; beside it the same SQL by raw sqlite3."""
    from tools.bench import loop as bench

    return _show(options, [lambda: bench.run(messages, rounds)])


def hop(
    options: Options,
    messages: Annotated[int, typer.Option("--messages", min=20, max=100_000, help="How many hops are measured.")] = 400,
) -> int:
    """Latency of one hop through the relay, one message at a time; beside it two COMMITs by raw sqlite3."""
    from tools.bench import hop as bench

    return _show(options, [lambda: bench.run(options.settings, messages)])


def takeover(
    options: Options,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="How many owners are killed.")] = 5,
) -> int:
    """Time from kill -9 of an owner until a waiting process has done the next message."""
    from tools.bench import takeover as bench

    return _show(options, [lambda: bench.run(options.settings, rounds)])


def all_(options: Options) -> int:
    """Every bench, one after another."""
    from tools.bench import hop as hops
    from tools.bench import loop as loops
    from tools.bench import takeover as takeovers

    where = options.settings
    return _show(options, [lambda: loops.run(40_000, 5), lambda: hops.run(where, 400), lambda: takeovers.run(where, 5)])


def _show(options: Options, benches: "list[Callable[[], Coroutine[Any, Any, Report]]]") -> int:
    """Run and print each; 1 when a bar was missed."""
    import structlog

    from tools.processes import GC_OBJECTS, loop_factory

    gc.set_threshold(GC_OBJECTS, 10, 10)  # as every serving process does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    if options.settings.bus_kind != "sqlite":
        raise WrongUse("benches run on the embedded bus yet: use --bus sqlite")
    missed = []
    for bench in benches:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            missed += _one(options, runner.run(bench()))
    if missed:
        raise Failed(f"below its bar on this machine: {', '.join(missed)}")
    return 0


def _one(options: Options, report: "Report") -> list[str]:
    if options.out.is_table:
        rows: list[dict[str, Any]] = [{"figure": f"{report.bench}: {name}", "value": value} for name, value in report.figures.items()]
        rows += [{"figure": f"{report.bench}: {name}", **bar} for name, bar in report.bars.items()]
        options.out.rows(rows, COLUMNS, empty="nothing was measured")
    else:
        options.out.json(report.as_dict())
    return [name for name, bar in report.bars.items() if not bar["ok"]]


COMMANDS = {"loop": loop, "hop": hop, "takeover": takeover, "all": all_}
