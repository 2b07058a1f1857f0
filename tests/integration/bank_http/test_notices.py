"""The bank's word to platforms over real HTTP: signed, the same bytes each time, tried again until it is acknowledged (FLOWS 3.4)."""

import asyncio
import json
from typing import Any

import pytest
from standardwebhooks import Webhook

from bank.enrolment import Platforms
from bank.messenger import Messenger
from tests.integration.bank_http.world import DATE, BankWorld, papers, until
from tools.bank_place import platforms_of


async def paid_in(bank: BankWorld, **given: Any) -> dict[str, Any]:
    custody_no = await bank.account(**given)
    return await bank.do("recharge", {"custody_no": custody_no, "amount_fen": 700}, page=True)


def of(bank: BankWorld, request_no: str) -> list[tuple[dict[str, str], bytes]]:
    """Every time that a request's notice came: headers, bytes."""
    return [(dict(headers), raw) for headers, raw in bank.receiver.came if request_no.encode() in raw]


async def test_what_has_ended_is_told_signed_in_the_other_direction(bank: BankWorld) -> None:
    ended = await paid_in(bank)
    await until(lambda: bank.receiver.about(ended["request_no"]), "the notice")
    ((headers, raw),) = of(bank, ended["request_no"])
    said = Webhook(bank.platform.notice_secret).verify(raw, headers)
    assert said["type"] == "order.ended" and said["data"] == ended
    assert headers["Content-Type"] == "application/json" and "X-Platform" not in headers
    with pytest.raises(Exception, match="No matching signature"):
        Webhook(bank.platform.api_secret).verify(raw, headers)


async def test_a_notice_that_is_not_acknowledged_comes_again_the_same_with_a_fresh_time_stamp(bank: BankWorld) -> None:
    custody_no = await bank.account()
    await until(lambda: len(bank.receiver.came) == 1, "the opening's notice")
    bank.receiver.statuses = [503, 302]
    ended = await bank.do("recharge", {"custody_no": custody_no, "amount_fen": 700}, page=True)
    came = await until(lambda: (found := of(bank, ended["request_no"])) and len(found) == 3 and found, "three attempts")
    assert len({raw for _, raw in came}) == 1 and len({headers["webhook-id"] for headers, _ in came}) == 1
    stamps = [int(headers["webhook-timestamp"]) for headers, _ in came]
    assert stamps == sorted(stamps) and stamps[0] < stamps[2]  # the second wait is longer than a second
    for headers, raw in came:
        Webhook(bank.platform.notice_secret).verify(raw, headers)
    assert not bank.receiver.statuses


async def test_a_platform_that_wants_no_more_of_it_is_left_alone(bank: BankWorld) -> None:
    await bank.account()
    await until(lambda: len(bank.receiver.came) == 1, "the opening's notice")
    bank.receiver.statuses = [410]
    ended = await bank.do("open_account", papers(1, name="拒绝开户"), page=True)
    await until(lambda: of(bank, ended["request_no"]), "the only attempt")
    after = await bank.do("open_account", papers(1), page=True)
    await until(lambda: of(bank, after["request_no"]), "what came after it")
    assert len(of(bank, ended["request_no"])) == 1


async def test_a_new_business_date_is_told_to_every_platform_that_is_enrolled(bank: BankWorld) -> None:
    assert await bank.roll(3) == "2025-02-03"
    await until(lambda: len(bank.receiver.dates) == 3, "three dates")
    assert sorted(bank.receiver.dates) == ["2025-02-01", "2025-02-02", "2025-02-03"]
    assert DATE not in bank.receiver.dates


async def test_what_ended_while_the_bank_was_going_down_is_told_after_its_restart(bank: BankWorld) -> None:
    custody_no = await bank.account()
    said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 700}, page=True)
    await bank.confirm(said["page_url"])
    await bank.stop()
    await bank.start()
    await until(lambda: bank.receiver.about(said["request_no"]), "the notice")


async def test_a_secret_or_url_that_was_enrolled_anew_is_used_at_once(bank: BankWorld) -> None:
    url = bank.platform.notify_url
    platforms_of(bank.own).enrol("lendbus", f"{url}/moved")
    ended = await paid_in(bank)
    await asyncio.sleep(0)  # the moved address answers 404: nothing of it is acknowledged
    platforms_of(bank.own).enrol("lendbus", url)
    await until(lambda: bank.receiver.about(ended["request_no"]), "the notice at its address")


async def post(folder: Any, url: str, *, loopback: bool | None = None) -> int:
    """One notice to an address, as the bank sends it."""
    platforms = Platforms(folder)
    platforms.enrol("lendbus", url)
    if loopback is not None:
        content = json.loads((folder / "platforms.json").read_text())
        content["platforms"][0]["loopback"] = loopback
        (folder / "platforms.json").write_text(json.dumps(content))
    messenger = Messenger(platforms, clock=lambda: 1_763_000_000_000)
    try:
        return await messenger.post("lendbus", "msg_1", b"{}")
    finally:
        await messenger.close()


async def test_this_machine_is_called_only_where_it_was_enrolled(bank: BankWorld, tmp_path: Any) -> None:
    url = bank.platform.notify_url
    assert await post(tmp_path, url) == 200
    with pytest.raises(OSError, match="no address that a notice may go to"):
        await post(tmp_path, url, loopback=False)
    assert len(bank.receiver.came) == 1


async def test_a_name_that_leads_to_this_machine_is_not_called(bank: BankWorld, tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """What counts is the address that is connected to, not the name (CASES D29)."""
    port = int(bank.platform.notify_url.split(":")[2].split("/")[0])

    async def resolved(*_: object, **__: object) -> list[dict[str, Any]]:
        return [{"hostname": "bank.example", "host": "127.0.0.1", "port": port, "family": 2, "proto": 6, "flags": 0}]

    monkeypatch.setattr("aiohttp.connector.DefaultResolver.resolve", resolved)
    with pytest.raises(OSError, match="no address that a notice may go to"):
        await post(tmp_path, f"http://bank.example:{port}/bank/notices")
    assert bank.receiver.came == []


@pytest.mark.parametrize("status", [301, 302, 307, 308])
async def test_a_redirect_is_an_answer_and_not_followed(bank: BankWorld, tmp_path: Any, status: int) -> None:
    bank.receiver.statuses = [status]
    assert await post(tmp_path, bank.platform.notify_url) == status
    assert len(bank.receiver.came) == 1
