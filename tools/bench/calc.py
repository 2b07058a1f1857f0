"""`lendbus bench calc`: repayment plans of 36 months a second, as `lendbus calc` answers them, a line in, a line out.

Included: reading the line, every check, the exact arithmetic, the due dates, writing the answer. The floor is what no
calculator can do without, in the same run: reading the same lines as JSON and writing the same answers as JSON.
"""

import random
import time
from collections.abc import Callable, Iterable
from typing import Any, Final

import orjson

from tools.bench.report import Report, conditions
from tools.calculator import answer

MONTHS: Final = 36
BAR: Final = 2_000
METHODS: Final = ("equal_installment", "equal_principal", "interest_only", "bullet")
SEED: Final = 20260101


async def run(plans: int) -> Report:
    """So many plans of every method with amounts and rates of all sizes; beside them the floor."""
    lines = questions(plans)
    written, took_s = _timed(lambda line: orjson.dumps(answer(line)), lines)
    answers = [orjson.loads(each) for each in written]
    wrong = [each for each in answers if "error" in each]
    assert not wrong, f"a question of the bench was refused: {wrong[0]}"
    report = Report("calc", {**conditions(), "plans": plans, "months": MONTHS, "seed": SEED})
    _, floor_s = _timed(lambda pair: (orjson.loads(pair[0]), orjson.dumps(pair[1])), list(zip(lines, answers, strict=True)))
    report.figure("floor: the same lines read and written as JSON, plans/s", round(plans / floor_s))
    report.bar("plans of 36 months, 1/s", round(plans / took_s), BAR, at_least=True)
    return report


def questions(count: int) -> list[bytes]:
    """The lines, the same each time."""
    chance = random.Random(SEED)
    return [orjson.dumps(_question(chance, METHODS[n % len(METHODS)])) for n in range(count)]


def _question(chance: random.Random, method: str) -> dict[str, Any]:
    principal_fen = chance.randrange(10_000, 2 * 10**7 + 1)
    rate = f"0.{chance.randrange(1, 2400):04d}"
    start = f"{chance.randrange(2020, 2027)}-{chance.randrange(1, 13):02d}-{chance.randrange(1, 29):02d}"
    return {
        "op": "plan", "method": method, "principal_fen": principal_fen, "annual_rate": rate, "months": MONTHS, "start_date": start,
    }  # fmt: skip


def _timed(work: Callable[[Any], Any], items: Iterable[Any]) -> tuple[list[Any], float]:
    began = time.perf_counter()
    done = [work(item) for item in items]
    return done, time.perf_counter() - began
