"""The same bank on Kafka and PostgreSQL: its own namespace, its own databases, its own keys."""

from pathlib import Path

import pytest

from bank.queries import business_date
from bus.connect import connect
from config.keys import load_or_create
from tests.integration.bank_http.world import DATE, BankWorld, number, until
from tests.postgresql_server import Databases, sql
from tools.bank_check import findings
from tools.reading import ask


async def test_a_loan_lives_on_servers_and_the_books_hold_together(tmp_path: Path, kafka_url: str, databases: Databases) -> None:
    name = databases.name()
    databases.names += [f"{name}_bank", f"{name}_notifier"]
    world = BankWorld(tmp_path, bus=kafka_url, db=databases.url(name))
    load_or_create(world.own.key_path(), may_generate=True)
    async with world as bank:
        borrower, investor, project = await bank.account(cap_fen=10**9), await bank.account(50_000, person=1), number()
        await bank.do("establish_project", {"project_no": project, "custody_no": borrower, "amount_fen": 20_000})
        await bank.do("hold", {"project_no": project, "custody_no": investor, "amount_fen": 20_000}, page=True)
        lent = await bank.do("confirm_loan", {"project_no": project, "count": 1, "sum_fen": 20_000})
        assert (lent["status"], lent["booked_date"]) == ("SUCCEEDED", DATE)
        assert (await bank.balance(borrower), await bank.balance(investor)) == ((20_000, 0), (30_000, 0))
        assert await bank.roll(2) == "2025-02-02"
        await until(lambda: bank.receiver.about(lent["request_no"]) and len(bank.receiver.dates) == 2, "the notices")
        await bank.stop()
        await bank.start()
        assert await bank.balance(borrower) == (20_000, 0)
        assert await ask(bank.own, "bank", business_date) == "2025-02-02"
        assert await findings(bank.own) == []
    await _has_only_its_own_topics(world, kafka_url)
    assert not list(tmp_path.rglob("*.db"))


async def _has_only_its_own_topics(world: BankWorld, platforms_url: str) -> None:
    theirs = connect(world.own.bus_url(), readonly=True)
    await theirs.open()
    try:
        assert {topic.name for topic in await theirs.topics()} >= {"bank.instructions", "bank.results", "gateway.replies"}
    finally:
        await theirs.close()
    platforms = connect(platforms_url, readonly=True)
    await platforms.open()
    try:
        assert {topic.name for topic in await platforms.topics()} == set()
    finally:
        await platforms.close()


async def test_without_its_key_file_a_bank_on_servers_does_not_start(tmp_path: Path, kafka_url: str, databases: Databases) -> None:
    world = BankWorld(tmp_path, bus=kafka_url, db=databases.url())
    with pytest.raises(Exception, match="There is no key file"):
        async with world:
            pass
    assert sql(databases.address, f"SELECT 1 FROM pg_database WHERE datname = '{databases.names[-1]}_bank'") == []
