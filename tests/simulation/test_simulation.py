"""The whole of users and accounts under a random scheduler, and proof that the simulator sees what it is there to see.

A failure names its seed; `Simulation(seed, folder).run()` has it again, step by step.
"""

import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agents.accounts.messages import Tried
from agents.runtime import batch as batches
from agents.runtime import claims, deadletters, inbox, outbox, ownership, suspension, timers, waiting, work
from agents.runtime.decision import Context, Decision
from agents.users import behaviour
from agents.users.model import Registration, Status
from config.registration import Policy
from tests.conftest import SEED
from tests.simulation.simulator import Simulation
from tests.simulation.world import Violation

KNOWN_SEEDS = range(20)
NEW_SEEDS = range(20)
HUNT = 40


def folder_of(path: Path) -> Path:
    """A folder of a run's own."""
    path.mkdir()
    return path


@pytest.mark.parametrize("n", KNOWN_SEEDS)
def test_whatever_happens_every_promise_is_kept(n: int, tmp_path: Path) -> None:
    Simulation(str(n), tmp_path).run()


@pytest.mark.parametrize("n", NEW_SEEDS)
def test_whatever_happens_every_promise_is_kept_also_in_runs_that_nobody_has_seen(n: int, tmp_path: Path) -> None:
    Simulation(f"{SEED}/{n}", tmp_path).run()


def test_the_same_seed_makes_the_same_run(tmp_path: Path) -> None:
    runs = [Simulation("again", folder_of(tmp_path / name)) for name in ("a", "b")]
    for simulation in runs:
        simulation.run()
    assert runs[0].trace == runs[1].trace
    assert runs[0].platform.log.partitions == runs[1].platform.log.partitions


def test_the_runs_see_both_ends_and_every_kind_of_step(tmp_path: Path) -> None:
    steps: Counter[str] = Counter()
    ends: Counter[str] = Counter()
    possible: set[str] = set()
    for n in range(8):
        simulation = Simulation(str(n), folder_of(tmp_path / str(n)))
        simulation.run()
        steps.update(step.partition(":")[0] for step in simulation.trace if not step.endswith(": none"))
        ends.update(simulation.promises.decisions.values())
        possible |= {choice.__name__ for choice in simulation._choices}
    assert ends["confirm"] > 8 and ends["cancel"] > 8
    assert possible <= set(steps)


def finds_a_violation(folder: Path, seeds: Sequence[int] = range(HUNT)) -> str:
    """The first report of these seeds."""
    for n in seeds:
        try:
            Simulation(str(n), folder_of(folder / str(n))).run()
        except Violation as exc:
            return str(exc).partition("\n")[0]
    raise AssertionError(f"{len(seeds)} seeds and no violation: the simulator is blind to this")


Patch = Callable[[pytest.MonkeyPatch], None]


def no_inbox(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(inbox, "take_new", lambda tx, deliveries, *, now_ms: (list(deliveries), []))


def no_epoch_check(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(ownership, "check", lambda tx, tenure: None)


def no_barrier(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(work, "standing_answer", lambda *args, **kwargs: None)


def no_resending(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(outbox, "left_behind", lambda tx, partition, *, after, limit: [])


def forgetting_what_was_not_sent(patch: pytest.MonkeyPatch) -> None:
    real = outbox.insert

    def insert(tx: Any, partition: int, rows: Any) -> Any:
        pending = real(tx, partition, rows)
        outbox.forget(tx, [row.id for row in pending])
        return pending

    patch.setattr(outbox, "insert", insert)


def claims_that_nobody_loses(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims.Overlay, "lost", lambda self, actor, wanted: ())


def claims_that_nobody_gives_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(claims.Overlay, "free", lambda self, actor: None)


def messages_that_pass_their_suspended_actor(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(suspension, "park", lambda tx, deliveries, *, now_ms: None)


def timers_that_nobody_clears(patch: pytest.MonkeyPatch) -> None:
    real = timers.write
    patch.setattr(timers, "write", lambda tx, changes, forgotten: real(tx, [c for c in changes if c[2] is not None], forgotten))


def timers_that_are_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timers, "write", lambda tx, changes, forgotten: None)


def firings_that_are_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timers, "due", lambda tx, partition, *, now_ms, limit: [])


def nobody_who_waits(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(waiting.Waiting, "add", lambda self, actor, reply_to: None)


def one_speaker_backwards(patch: pytest.MonkeyPatch) -> None:
    real = batches.apply

    def apply(*args: Any) -> Any:
        done = real(*args)
        return dataclasses.replace(done, leaving=done.leaving[::-1])

    patch.setattr(batches, "apply", apply)


def dead_letters_without_a_row(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(deadletters, "write", lambda tx, service, incarnation, dead, *, now_ms: [])


def a_tried_that_comes_late_and_wins(patch: pytest.MonkeyPatch) -> None:
    real = behaviour.behave

    def behave(state: Registration | None, command: Any, context: Context, policy: Policy) -> Decision[Registration]:
        if isinstance(command, Tried) and state is not None and state.status is Status.CANCELLING and state.member is not None:
            return behaviour.confirm(state, context, policy)
        return real(state, command, context, policy)

    patch.setattr("agents.users.agent.behave", behave)


PLANTED: dict[Patch, str] = {
    no_inbox: "a message took effect twice",
    no_epoch_check: "a lost owner was not told",
    no_barrier: "a confirmed member cannot log in|a cancelled registration keeps an account",
    no_resending: "not what was said|a request was never answered",
    forgetting_what_was_not_sent: "not what was said|a request was never answered",
    claims_that_nobody_loses: "claims are not what the accounts hold",
    claims_that_nobody_gives_back: "claims are not what the accounts hold",
    messages_that_pass_their_suspended_actor: "not everybody who registered has a registration|never answered|has not ended",
    timers_that_nobody_clears: "a timer outlives its registration",
    timers_that_are_lost: "a registration has not ended",
    firings_that_are_lost: "it does not end",
    nobody_who_waits: "a request was never answered",
    one_speaker_backwards: "not what was said, in its order",
    dead_letters_without_a_row: "dead letters and bad records differ|a request was never answered",
    a_tried_that_comes_late_and_wins: "a decision flipped|BarrierBroken",
}


@pytest.mark.parametrize(("plant", "report"), PLANTED.items(), ids=[plant.__name__ for plant in PLANTED])
def test_a_planted_bug_is_found(plant: Patch, report: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    plant(monkeypatch)
    found = finds_a_violation(tmp_path)
    assert any(words in found for words in report.split("|")), found
