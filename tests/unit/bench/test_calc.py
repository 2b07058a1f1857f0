"""The bench of the calculator asks real questions, the same each time, and counts what was answered."""

import orjson

from tests.integration.bench.form import well_formed
from tools.bench import calc
from tools.calculator import answer


def test_the_questions_are_the_same_each_time_and_of_every_method() -> None:
    asked = calc.questions(40)
    assert asked == calc.questions(40) and len(set(asked)) == 40
    assert {orjson.loads(line)["method"] for line in asked} == set(calc.METHODS)


def test_every_question_is_a_plan_of_36_months_that_can_be_answered() -> None:
    for line in calc.questions(400):
        said, asked = answer(line), orjson.loads(line)
        assert said["sum_principal_fen"] == asked["principal_fen"]
        assert len(said["periods"]) == (1 if asked["method"] == "bullet" else calc.MONTHS)


async def test_the_report_has_its_bar_and_its_floor() -> None:
    report = await calc.run(100)
    well_formed(report, "calc")
    assert list(report.bars) == ["plans of 36 months, 1/s"] and report.conditions["plans"] == 100
