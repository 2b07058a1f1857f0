"""A loan's life as a platform asks for it over HTTP: every kind, every action."""

from tests.integration.bank_http.world import DATE, BankWorld, number, papers, until


async def test_an_account_is_opened_on_the_page_and_nowhere_else(bank: BankWorld) -> None:
    said = await bank.put("open_account", papers(), page=True)
    assert said["status"] == "AWAITING" and said["page_url"].startswith(f"{bank.url}/p/{said['request_no']}/")
    assert (await bank.confirm(said["page_url"], again="a deposit pass phrase")).status == 303
    ended = await bank.ended(said["request_no"])
    assert (ended["status"], ended["booked_date"], ended["reason"], ended["page_url"]) == ("SUCCEEDED", DATE, None, None)
    assert ended["details"]["card"].endswith("0018") and ended["details"]["card"].startswith("***")
    assert await bank.balance(ended["details"]["custody_no"]) == (0, 0)


async def test_a_loan_is_raised_paid_out_and_repaid(bank: BankWorld) -> None:
    borrower = await bank.account(cap_fen=10**9)
    investors = [await bank.account(100_000, person=1), await bank.account(100_000, person=2)]
    project = number()
    assert (await bank.do("establish_project", {"project_no": project, "custody_no": borrower, "amount_fen": 80_000}))[
        "status"
    ] == "SUCCEEDED"
    for who, fen in zip(investors, (50_000, 30_000), strict=True):
        held = await bank.do("hold", {"project_no": project, "custody_no": who, "amount_fen": fen}, page=True)
        assert (held["status"], held["amount_fen"]) == ("SUCCEEDED", fen)
    assert await bank.balance(investors[0]) == (50_000, 50_000)
    assert (await bank.do("confirm_loan", {"project_no": project, "count": 2, "sum_fen": 80_000}))["status"] == "SUCCEEDED"
    assert await bank.balance(borrower) == (80_000, 0)
    collect = await bank.do("collect", {"project_no": project, "custody_no": borrower, "due_fen": 20_000, "valid_on": DATE})
    assert (collect["status"], collect["amount_fen"]) == ("SUCCEEDED", 20_000)
    parts = [{"custody_no": who, "amount_fen": fen} for who, fen in zip(investors, (12_000, 7_000), strict=True)]
    done = await bank.do("confirm_repayment", {"collect_no": collect["request_no"], "parts": parts, "fee_fen": 1_000})
    assert done["status"] == "SUCCEEDED"
    assert [await bank.balance(who) for who in investors] == [(62_000, 0), (77_000, 0)]
    assert (await bank.do("close_project", {"project_no": project}))["status"] == "SUCCEEDED"
    await until(lambda: bank.receiver.about(done["request_no"]), "the notice")
