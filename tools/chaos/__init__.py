"""`lendbus chaos`: whole stories disturbed: kills, freezes, lost webhooks, doubled messages; each must end like the undisturbed one."""

from typing import Annotated

import typer

from tools.options import Options


def command(
    options: Options,
    stories: Annotated[int, typer.Option("--stories", min=1, max=10_000, help="How many disturbed stories.")] = 5,
    seed: Annotated[
        int | None, typer.Option("--seed", min=0, max=2**63, help="Draws a run's faults again; without it one is drawn.")
    ] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder where it is in any case.")] = False,
) -> int:
    """Play a loan's life again and again while processes are killed and frozen, webhooks lost, messages doubled; compare the ends.

    Works in a place of its own (folder, topics, databases), which stays where it is when something differs. The last line is one
    JSON object; the exit code says whether there were no differences.
    """
    settings = options.settings  # says what is wrong before anything heavy is imported
    import random

    from tools.chaos import run
    from tools.output import flush, to_json, write

    seed = random.SystemRandom().randrange(2**32) if seed is None else seed
    findings = options.run(run.chaos(run.Terms(stories, seed, keep), settings))
    write(f"{to_json(findings)}\n")
    flush()
    return 0 if findings["differences"] == 0 else 1
