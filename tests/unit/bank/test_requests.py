"""A request number at the bank: one effect, one answer, for ever (FLOWS 3)."""

import pytest

from agents.runtime.decision import Context
from bank.behaviour import behave
from bank.messages import DAY, CloseDay, ConfirmByMember, DayBegan, Execute, OpenDay, RefuseByMember
from bank.model import Day, Status
from config.bank import Terms
from tests.unit.bank.world import DATE, Bank, number


@pytest.fixture
def bank() -> Bank:
    return Bank()


def recharge(bank: Bank, name: str = "r", fen: int = 500) -> dict[str, object]:
    return {"custody_no": bank.open("lin"), "amount_fen": fen}


def test_a_page_kind_waits_for_its_member_and_is_executed_after_the_delay(bank: Bank) -> None:
    assert bank.put("r", "recharge", recharge(bank), page=True).status == "AWAITING"
    assert number("r") not in bank.timers
    bank.tell(number("r"), ConfirmByMember(id=number("r")))
    assert bank.states[number("r")].status is Status.ACCEPTED and bank.books.available("6lin") == 0
    done = bank.run("r")
    assert (done.status, done.booked_date, bank.books.available("6lin")) == (Status.SUCCEEDED, DATE, 500)


def test_a_direct_kind_is_accepted_when_its_row_is_there(bank: Bank) -> None:
    content = {"project_no": number("p"), "custody_no": bank.open("lin"), "amount_fen": 500}
    assert bank.put("e", "establish_project", content).status == "ACCEPTED"
    assert bank.run("e").status is Status.SUCCEEDED


def test_the_same_number_with_the_same_content_is_answered_as_it_stands_and_done_once(bank: Bank) -> None:
    content = recharge(bank)
    assert bank.do("r", "recharge", content, page=True).status is Status.SUCCEEDED
    again = bank.put("r", "recharge", content, page=True)
    assert (again.status, again.differs) == ("SUCCEEDED", False)
    bank.tell(number("r"), ConfirmByMember(id=number("r")))
    bank.tell(number("r"), Execute(id=number("r")))
    assert bank.books.available("6lin") == 500 and len(bank.results()) == 1


@pytest.mark.parametrize("when", ["awaiting", "accepted", "done"])
def test_the_same_number_with_other_content_is_refused_for_ever_and_changes_nothing(bank: Bank, when: str) -> None:
    content = recharge(bank)
    bank.put("r", "recharge", content, page=True)
    if when != "awaiting":
        bank.tell(number("r"), ConfirmByMember(id=number("r")))
    if when == "done":
        bank.run("r")
    before = bank.states[number("r")]
    other = bank.put("r", "recharge", {**content, "amount_fen": 501}, page=True)
    assert other.differs and other.status == ""
    assert bank.put("r", "recharge", content, page=True, platform="another").differs
    assert bank.states[number("r")] == before


def test_what_the_member_refuses_is_over(bank: Bank) -> None:
    bank.put("r", "recharge", recharge(bank), page=True)
    bank.tell(number("r"), RefuseByMember(id=number("r")))
    assert bank.states[number("r")].reason == "refused_by_member"
    bank.tell(number("r"), ConfirmByMember(id=number("r")))
    assert bank.states[number("r")].status is Status.REFUSED and number("r") not in bank.timers
    assert [said.status for said in bank.results()] == ["REFUSED"]


@pytest.mark.parametrize("confirmed", [False, True])
def test_what_is_closed_before_its_execution_moves_nothing(bank: Bank, confirmed: bool) -> None:
    bank.put("r", "recharge", recharge(bank), page=True)
    if confirmed:
        bank.tell(number("r"), ConfirmByMember(id=number("r")))
    assert bank.close("r").status == "CLOSED"
    bank.tell(number("r"), Execute(id=number("r")))
    assert bank.books.available("6lin") == 0 and bank.states[number("r")].status is Status.CLOSED
    assert [said.status for said in bank.results()] == ["CLOSED"]


def test_what_is_final_is_answered_as_it_is_when_somebody_closes_it(bank: Bank) -> None:
    bank.do("r", "recharge", recharge(bank), page=True)
    assert bank.close("r").status == "SUCCEEDED" and bank.books.available("6lin") == 500


def test_an_unknown_number_is_remembered_as_closed_and_whatever_comes_later_is_refused(bank: Bank) -> None:
    assert bank.close("r").status == "CLOSED"
    late = bank.put("r", "recharge", recharge(bank), page=True)
    assert (late.status, late.differs) == ("CLOSED", False)
    assert bank.states[number("r")].status is Status.CLOSED and not bank.timers


def test_another_platform_closes_nothing_and_learns_nothing(bank: Bank) -> None:
    bank.put("r", "recharge", recharge(bank), page=True)
    said = bank.close("r", platform="another")
    assert said.differs and said.status == ""
    assert bank.states[number("r")].status is Status.AWAITING


def test_the_days_go_on_one_by_one_and_who_is_late_changes_nothing(bank: Bank) -> None:
    for _ in range(2):
        bank.tell(DAY, CloseDay(id=DAY, date=DATE, platforms=("one", "two")))
    assert bank.books.date == "2026-03-03"
    bank.tell(DAY, OpenDay(id=DAY, date="2030-01-01"))
    assert bank.books.date == "2026-03-03"
    told = [said for said in bank.said if isinstance(said, DayBegan)]
    assert [(said.platform, said.date) for said in told] == [("one", "2026-03-03"), ("two", "2026-03-03")]
    assert told[0].id != told[1].id


def test_no_account_is_opened_without_a_deposit_password(bank: Bank) -> None:
    bank.put("o", "open_account", {"member_id": "m", "card": "6222", "name_refused": False}, page=True)
    bank.tell(number("o"), ConfirmByMember(id=number("o")))
    assert bank.states[number("o")].status is Status.AWAITING and not bank.timers


def test_a_day_that_was_never_opened_cannot_be_closed() -> None:
    decision = behave(None, CloseDay(id=DAY, date=DATE), Context(DAY, number("x"), 1), Terms())
    assert decision.state is None and decision.reply is None


def test_a_leap_day_and_the_turn_of_a_year_are_days(bank: Bank) -> None:
    for date, after in (("2028-02-28", "2028-02-29"), ("2026-12-31", "2027-01-01")):
        bank.states[DAY], bank.books.date = Day(DAY, date), date
        bank.roll()
        assert bank.books.date == after


@pytest.mark.parametrize("name", range(50))
def test_the_delay_is_the_same_for_the_same_number_and_never_nothing(name: int) -> None:
    assert Terms(5, 100).delay_of(number(name)) >= 1
    assert 100 <= Terms().delay_of(number(name)) == Terms().delay_of(number(name)) <= 300
