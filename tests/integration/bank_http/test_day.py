"""The end of a business day: closed once, whoever says it twice, and a sentence where the ledger is not there."""

import asyncio

import pytest

from bank import day
from bank.day import DayStaysOpen
from tests.integration.bank_http.world import DATE, BankWorld, until
from tools.bank_day import close_days, operating


async def test_days_are_closed_one_after_the_other_and_each_is_told_once(bank: BankWorld) -> None:
    async with operating(bank.own) as end:
        assert await end.stands() == DATE
        assert [await end.close() for _ in range(3)] == ["2025-02-01", "2025-02-02", "2025-02-03"]
    await until(lambda: len(bank.receiver.dates) == 3, "three dates")
    assert sorted(bank.receiver.dates) == ["2025-02-01", "2025-02-02", "2025-02-03"]


async def test_two_operators_at_once_close_whole_days_and_skip_none(bank: BankWorld) -> None:
    stood = await asyncio.gather(close_days(bank.own, 4), close_days(bank.own, 4))
    assert max(stood) <= "2025-02-08"  # both may have closed the same day
    last = (await bank.ask("business-date")).said["date"]
    await until(lambda: last in bank.receiver.dates, "the last date")
    await until(lambda: len(bank.receiver.dates) == int(last[-2:]), "every date")
    assert len(set(bank.receiver.dates)) == len(bank.receiver.dates)


async def test_the_first_date_stays_whatever_is_set_later(bank: BankWorld) -> None:
    await bank.roll()
    await bank.stop()
    bank.own = bank.own.model_copy(update={"bank_date": None})
    await bank.start()
    assert (await bank.ask("business-date")).said == {"date": "2025-02-01"}


async def test_without_its_ledger_the_day_stays_open_and_that_is_said(bank: BankWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(day, "CLOSE_S_MAX", 0.2)
    await bank.stop()
    with pytest.raises(DayStaysOpen, match=r"still stands on 2025-01-31.*lendbus bank serve"):
        await close_days(bank.own, 1)
    await bank.start()
    await until(lambda: bank.receiver.dates == ["2025-02-01"], "what was said while it was away takes effect once")


async def test_a_bank_that_never_was_has_no_day(bank: BankWorld) -> None:
    bank.own = bank.own.model_copy(update={"db": f"sqlite:///{bank.own.data / 'nowhere'}"})
    with pytest.raises(DayStaysOpen, match="books cannot be read"):
        await close_days(bank.own, 1)
