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

WORKERS_MAX = 8  # as many as a topic has partitions
COLUMNS = (Column("figure", fixed=True), Column("value", number=True), Column("bar", number=True), Column("ok"))


def loop(
    options: Options,
    messages: Annotated[int, typer.Option("--messages", min=1_000, max=1_000_000, help="How many go through.")] = 40_000,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=25, help="Both sides in turn, so often; medians.")] = 5,
) -> int:
    """Messages a second through decode, inbox, load, behave, save, outbox, relay, delete; beside it the same work done bare."""
    from tools.bench import loop as bench

    return _show(options, [lambda: bench.run(options.settings, messages, rounds)])


def hop(
    options: Options,
    messages: Annotated[int, typer.Option("--messages", min=20, max=100_000, help="How many hops are measured.")] = 400,
) -> int:
    """Latency of one hop through the relay, one message at a time; beside it a floor."""
    from tools.bench import hop as bench

    return _show(options, [lambda: bench.run(options.settings, messages)])


def takeover(
    options: Options,
    rounds: Annotated[int, typer.Option("--rounds", min=1, max=100, help="How many owners are killed.")] = 5,
) -> int:
    """Time from kill -9 of an owner until a waiting process has done the next message."""
    from tools.bench import takeover as bench

    return _show(options, [lambda: bench.run(options.settings, rounds)])


def scale(
    options: Options,
    messages: Annotated[int, typer.Option("--messages", min=100, max=10_000_000, help="The load that waits on the topic.")] = 60_000,
    workers: Annotated[str, typer.Option("--workers", metavar="N,N,…", help="How many processes share it.")] = "1,2,4",
) -> int:
    """Messages a second by number of worker processes that share the partitions; beside it, who uses the processor."""
    from tools.bench import scale as bench

    try:
        counts = [int(each) for each in workers.split(",")]
    except ValueError:
        counts = []
    if not counts or not all(0 < each <= WORKERS_MAX for each in counts):
        raise WrongUse(f"--workers {workers}: say numbers from 1 to {WORKERS_MAX} with commas between them, as 1,2,4")
    return _show(options, [lambda: bench.run(options.settings, messages, counts)])


def calc(
    options: Options,
    plans: Annotated[int, typer.Option("--plans", min=100, max=1_000_000, help="How many are made.")] = 10_000,
) -> int:
    """Repayment plans of 36 months a second, as `lendbus calc` answers them; needs neither bus nor stores."""
    from tools.bench import calc as bench

    return _show(options, [lambda: bench.run(plans)])


def story(
    options: Options,
    lives: Annotated[int, typer.Option("--lives", min=1, max=500, help="How many loans live at the same time.")] = 10,
) -> int:
    """Complete loan lives a second over HTTP, three bids and three instalments each, and messages a second; printed, without a bar."""
    from tools.bench import story as bench

    return _show(options, [lambda: bench.run(options.settings, lives)])


def all_(options: Options) -> int:
    """Every bench that this bus and these stores can have, one after another."""
    from tools.bench import hop as hops
    from tools.bench import loop as loops
    from tools.bench import takeover as takeovers

    where = options.settings
    benches = [lambda: loops.run(where, 40_000, 5), lambda: hops.run(where, 400)]
    if where.bus_kind == "sqlite" or where.db_kind == "postgresql":
        benches.append(lambda: takeovers.run(where, 5))
    if where.bus_kind == "kafka" and where.db_kind == "postgresql":
        from tools.bench import scale as scales

        benches.append(lambda: scales.run(where, 60_000, (1, 2, 4)))
    return _show(options, benches)


def _show(options: Options, benches: "list[Callable[[], Coroutine[Any, Any, Report]]]") -> int:
    """Run and print each; 1 when a bar was missed."""
    import structlog

    from tools.processes import GC_OBJECTS, loop_factory

    gc.set_threshold(GC_OBJECTS, 10, 10)  # as every serving process does
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)  # a topic that is just made answers with errors that pass
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


COMMANDS = {"loop": loop, "hop": hop, "takeover": takeover, "scale": scale, "calc": calc, "story": story, "all": all_}
