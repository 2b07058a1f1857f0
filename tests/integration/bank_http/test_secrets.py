"""What must be in no file, topic, log or answer of the bank: the deposit password, and what is personal, in clear."""

import base64
import json
import logging
from urllib.parse import quote_plus

import pytest

from bank.queries import account_by_no
from bank.reader import BankReader
from tests.integration.bank_http.world import CARD, ID_NUMBERS, BankWorld, number, papers, until

WORD = "Kranich-über-dem-Fluß 77"
NAME, MOBILE = "欧阳慕容", "13912345678"


def spellings(text: str) -> set[bytes]:
    """How a text could be written down."""
    plain = text.encode()
    return {
        plain,
        text.encode("utf-16-le"),
        json.dumps(text).strip('"').encode(),
        quote_plus(text).encode(),
        base64.b64encode(plain).rstrip(b"="),
        base64.urlsafe_b64encode(plain).rstrip(b"="),
        plain.hex().encode(),
    }


async def lived(bank: BankWorld) -> tuple[str, list[str]]:
    """An account is opened with the word, money paid in with wrong and right words, a date closed; the bank's answers."""
    put = await bank.put("open_account", papers(name=NAME, mobile=MOBILE), page=True)
    said = [(await bank.page(put["page_url"])).text]
    said.append((await bank.confirm(put["page_url"], WORD, f"{WORD}?")).text)
    said.append((await bank.confirm(put["page_url"], WORD, WORD)).text)
    ended = await bank.ended(put["request_no"])
    custody_no = str(ended["details"]["custody_no"])
    pay = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 700}, page=True)
    said.append((await bank.confirm(pay["page_url"], f"{WORD}!")).text)
    said.append((await bank.confirm(pay["page_url"], WORD)).text)
    said += [json.dumps(await bank.ended(pay["request_no"])), json.dumps(ended)]
    await bank.roll()
    await until(lambda: bank.receiver.about(pay["request_no"]) and bank.receiver.dates, "the notices")
    return custody_no, said


async def test_the_deposit_password_is_nowhere(
    bank: BankWorld, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, logger="lendbus")  # whoever ran in this process before may have asked for less
    _, said = await lived(bank)
    await bank.stop()
    files = bank.files()
    assert {path.name for path in files} >= {"bus.db", "bank.db", "notifier.db", "keys.json", "platforms.json"}
    logs = "".join(capfd.readouterr()) + caplog.text
    assert "/p/{request_no}/{token}" in logs  # something was logged, and not the token
    kept = (
        [path.read_bytes() for path in files] + [raw for _, raw in bank.receiver.came] + [logs.encode(), *(text.encode() for text in said)]
    )
    for spelled in spellings(WORD) | spellings(f"{WORD}!") | spellings(f"{WORD}?"):
        assert [content[:40] for content in kept if spelled in content] == []


async def test_who_somebody_is_lies_nowhere_in_clear(bank: BankWorld, capfd: pytest.CaptureFixture[str]) -> None:
    await lived(bank)
    await bank.stop()
    kept = [path.read_bytes() for path in bank.files()] + [raw for _, raw in bank.receiver.came] + ["".join(capfd.readouterr()).encode()]
    for text in (ID_NUMBERS[0], CARD, NAME, MOBILE):
        for spelled in spellings(text):
            assert [content[:40] for content in kept if spelled in content] == []


async def test_the_hash_of_the_deposit_password_is_sealed_and_its_request_forgets_it(bank: BankWorld) -> None:
    custody_no, _ = await lived(bank)
    reader = BankReader(bank.own.store_url("bank"))
    try:
        async with reader._store.reading() as connection:
            account = await account_by_no(connection, custody_no)
    finally:
        await reader.close()
    assert account is not None and account.password_hash.startswith("s1.") and "argon2" not in account.password_hash
    await bank.stop()
    assert not [path.name for path in bank.files() if b"$argon2" in path.read_bytes()]


async def test_the_token_of_a_page_is_in_no_log_and_on_no_topic(bank: BankWorld, capfd: pytest.CaptureFixture[str]) -> None:
    custody_no = await bank.account()
    said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True, no=number())
    await bank.page(said["page_url"])
    await bank.confirm(said["page_url"], "wrong password")
    await bank.refuse(said["page_url"])
    await bank.ended(said["request_no"])
    token = said["page_url"].rsplit("/", 1)[1].encode()
    await bank.stop()
    assert token not in "".join(capfd.readouterr()).encode()
    assert [path.name for path in bank.files() if token in path.read_bytes()] == []


async def test_the_files_with_secrets_are_the_banks_own(bank: BankWorld) -> None:
    modes = {path.name: path.stat().st_mode & 0o777 for path in bank.files() if path.suffix == ".json"}
    assert modes == {"keys.json": 0o600, "platforms.json": 0o600}
    for secret in (bank.platform.api_secret, bank.platform.notice_secret):
        assert [path.name for path in bank.files() if secret.encode() in path.read_bytes()] == ["platforms.json"]
