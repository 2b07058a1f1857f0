"""`lendbus soak`: the product's own runtime in real processes, killed and frozen at random; counted at the far end of two hops."""

from typing import Annotated

import typer

from tools.options import Options


def command(
    options: Options,
    seconds: Annotated[int, typer.Option("--seconds", min=1, max=86_400, help="How long faults are made and messages sent.")] = 600,
    seed: Annotated[int | None, typer.Option("--seed", min=0, help="Replays the schedule of a run; without it one is drawn.")] = None,
    rate: Annotated[int, typer.Option("--rate", min=1, max=5_000, help="Messages a second.")] = 400,
    freeze: Annotated[
        list[int] | None, typer.Option("--freeze", help="Also freeze this process now and then: a broker or database of yours.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder where it is in any case.")] = False,
) -> int:
    """Kill and freeze workers at random, also inside their transactions; count what is lost, doubled or out of order.

    Works in a place of its own (folder, topics, databases), which stays where it is when the run has found something.
    """
    settings = options.settings  # says what is wrong before anything heavy is imported
    import random

    from tools.soak import run, verdict

    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    findings = options.run(run.soak(run.Terms(seconds, seed, rate, keep, tuple(freeze or ())), settings))
    if options.out.is_table:
        verdict.print_table(findings, options.out)
    else:
        options.out.json(findings)
    return 0 if findings["ok"] else 1
