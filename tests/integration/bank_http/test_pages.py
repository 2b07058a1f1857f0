"""The bank's pages: many looks, one confirmation; what is shown, what is refused, and what nobody can guess."""

import asyncio
import re
from html.parser import HTMLParser
from typing import Any

import pytest

from config.bank import WRONG_PASSWORDS_MAX
from tests.integration.bank_http.world import DEPOSIT_PASSWORD, Answer, BankWorld, number, papers, until

WRONG = "This deposit password is not right."


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data.strip())

    def named(self, name: str) -> list[dict[str, str | None]]:
        return [attributes for tag, attributes in self.tags if tag == name]

    @property
    def text(self) -> str:
        return " ".join(filter(None, self.words))


async def awaiting(bank: BankWorld, fen: int = 700, **given: Any) -> tuple[str, dict[str, Any]]:
    """An account, and money that waits to be paid in."""
    custody_no = await bank.account(**given)
    return custody_no, await bank.put("recharge", {"custody_no": custody_no, "amount_fen": fen}, page=True)


def is_a_page(answer: Answer) -> bool:
    """Whether it is HTML with the policy that lets no script run, and nothing that could be one."""
    policy = answer.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy and "script" not in policy and "frame-ancestors 'none'" in policy
    assert answer.headers["Cache-Control"] == "no-store" and answer.headers["Referrer-Policy"] == "no-referrer"
    tags = Tags(answer.text)
    assert not tags.named("script") and not [a for _, attributes in tags.tags for a in attributes if a.startswith("on") or a == "style"]
    return answer.headers["Content-Type"].startswith("text/html")


async def test_a_page_shows_what_is_to_be_confirmed_and_looking_changes_nothing(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank, 123_456)
    for shown in [await bank.page(said["page_url"]) for _ in range(3)]:
        assert shown.status == 200 and is_a_page(shown)
        assert "¥1,234.56" in shown.text and custody_no in shown.text and "Pay in from your card" in shown.text
    assert (await bank.ask("query", request_no=said["request_no"])).said["status"] == "AWAITING"
    (label,) = (
        attributes for attributes in Tags((await bank.page(said["page_url"])).text).named("input") if attributes["type"] == "password"
    )
    assert label["name"] == "deposit_password"


async def test_an_account_is_opened_with_a_password_typed_twice(bank: BankWorld) -> None:
    said = await bank.put("open_account", papers(), page=True)
    shown = await bank.page(said["page_url"])
    names = [attributes["name"] for attributes in Tags(shown.text).named("input")]
    assert names == ["deposit_password", "deposit_password_again"] and is_a_page(shown)
    assert "王小明" in shown.text and "138****0000" in shown.text and "***0018" in shown.text
    for personal in ("11010519491231002X", "6228480402564890018", "13800000000"):
        assert personal not in shown.text


@pytest.mark.parametrize(
    ("password", "again", "said"),
    [
        ("short", "short", "at least 8 characters"),
        ("x" * 129, "x" * 129, "at most 128 characters"),
        ("", "", "at least 8 characters"),
        ("tab\tin the middle", "tab\tin the middle", "no control characters"),
        (DEPOSIT_PASSWORD, f"{DEPOSIT_PASSWORD} ", "are not the same"),
        (DEPOSIT_PASSWORD, None, "are not the same"),
    ],
)
async def test_a_first_password_that_cannot_be_used_opens_nothing(bank: BankWorld, password: str, again: str | None, said: str) -> None:
    put = await bank.put("open_account", papers(), page=True)
    answer = await bank.confirm(put["page_url"], password, again)
    assert answer.status == 422 and said in answer.text and is_a_page(answer)
    assert DEPOSIT_PASSWORD not in answer.text
    assert (await bank.ask("query", request_no=put["request_no"])).said["status"] == "AWAITING"


@pytest.mark.parametrize("password", ["12345678", "x" * 128, "密码密码密码密码", "  spaces count  ", "quote\"'<b>&amp;", "🙂" * 8])
async def test_a_password_of_any_characters_fits_again(bank: BankWorld, password: str) -> None:
    put = await bank.put("open_account", papers(), page=True)
    assert (await bank.confirm(put["page_url"], password, password)).status == 303
    custody_no = (await bank.ended(put["request_no"]))["details"]["custody_no"]
    said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
    assert (await bank.confirm(said["page_url"], f"{password}x"[:128] if len(password) < 128 else password[:127])).status == 403
    assert (await bank.confirm(said["page_url"], password)).status == 303
    assert (await bank.ended(said["request_no"]))["status"] == "SUCCEEDED"


async def test_a_wrong_password_moves_nothing_and_the_right_one_still_does(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank)
    for wrong in ("wrong password", "", DEPOSIT_PASSWORD.upper(), f"{DEPOSIT_PASSWORD} "):
        answer = await bank.confirm(said["page_url"], wrong)
        assert answer.status == 403 and WRONG in answer.text and is_a_page(answer)
        assert not wrong or wrong not in answer.text
    assert await bank.balance(custody_no) == (0, 0)
    assert (await bank.confirm(said["page_url"])).status == 303
    assert (await bank.ended(said["request_no"]))["status"] == "SUCCEEDED"
    assert await bank.balance(custody_no) == (700, 0)


async def test_after_too_many_wrong_passwords_the_right_one_is_not_heard_either(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank)
    answers = await asyncio.gather(*(bank.confirm(said["page_url"], f"wrong password {n}") for n in range(WRONG_PASSWORDS_MAX + 3)))
    assert sorted(answer.status for answer in answers) == [403] * WRONG_PASSWORDS_MAX + [429] * 3
    locked = await bank.confirm(said["page_url"])
    assert locked.status == 429 and 0 < int(locked.headers["Retry-After"]) <= 15 * 60 and is_a_page(locked)
    other = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 1}, page=True)
    assert (await bank.confirm(other["page_url"])).status == 429
    another = await bank.account(5, person=1)
    assert await bank.balance(another) == (5, 0)


async def test_nobodys_account_is_told_what_a_wrong_password_is_told(bank: BankWorld) -> None:
    _, known = await awaiting(bank)
    unknown = await bank.put("recharge", {"custody_no": "6" + "7" * 17, "amount_fen": 700}, page=True)
    answers = [await bank.confirm(said["page_url"], "not the password") for said in (known, unknown)]
    assert [answer.status for answer in answers] == [403, 403]
    spoken = [re.sub(r"/p/[^\"]+|6\d{17}", "…", answer.text) for answer in answers]
    assert spoken[0] == spoken[1]


async def test_what_is_confirmed_is_confirmed_once_and_shown_ever_after(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank)
    answers = await asyncio.gather(*(bank.confirm(said["page_url"]) for _ in range(4)))
    assert {answer.status for answer in answers} == {303}
    assert {answer.headers["Location"] for answer in answers} == {said["page_url"].removeprefix(bank.url)}
    await bank.ended(said["request_no"])
    assert (await bank.confirm(said["page_url"], "whatever password")).status == 303
    assert (await bank.refuse(said["page_url"])).status == 303
    shown = await bank.page(said["page_url"])
    assert "Done." in shown.text and not Tags(shown.text).named("form")
    assert await bank.balance(custody_no) == (700, 0)


async def test_two_passwords_at_once_open_one_account_with_one_of_them(bank: BankWorld) -> None:
    put = await bank.put("open_account", papers(), page=True)
    words = ("first password", "second password")
    await asyncio.gather(*(bank.confirm(put["page_url"], word, word) for word in words))
    custody_no = (await bank.ended(put["request_no"]))["details"]["custody_no"]
    taken = []
    for word in words:
        said = await bank.put("recharge", {"custody_no": custody_no, "amount_fen": 5}, page=True)
        taken.append((await bank.confirm(said["page_url"], word)).status)
    assert sorted(taken) == [303, 403]


async def test_what_is_refused_is_refused_without_a_password_and_for_good(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank)
    assert (await bank.refuse(said["page_url"])).status == 303
    ended = await bank.ended(said["request_no"])
    assert (ended["status"], ended["reason"]) == ("REFUSED", "refused_by_member")
    assert (await bank.confirm(said["page_url"])).status == 303
    shown = await bank.page(said["page_url"])
    assert "This was refused." in shown.text and "refused_by_member" in shown.text
    assert await bank.balance(custody_no) == (0, 0)


async def test_an_opening_that_has_ended_shows_nothing_personal_any_more(bank: BankWorld) -> None:
    put = await bank.put("open_account", papers(), page=True)
    await bank.confirm(put["page_url"], again=DEPOSIT_PASSWORD)
    await bank.ended(put["request_no"])
    assert "王小明" not in (await bank.page(put["page_url"])).text


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\"'><img src=x>", "{{ 7 * 7 }}", "{% raw %}", "O'Brien & Söhne"])
async def test_a_name_is_shown_and_never_obeyed(bank: BankWorld, name: str) -> None:
    put = await bank.put("open_account", papers(name=name), page=True)
    shown = await bank.page(put["page_url"])
    assert is_a_page(shown) and name in Tags(shown.text).text
    assert not Tags(shown.text).named("img") and ("<" not in name or name not in shown.text)
    after = await bank.confirm(put["page_url"], "short", "short")
    assert name in Tags(after.text).text and is_a_page(after)


async def test_a_token_is_of_one_page_and_its_text_says_nothing(bank: BankWorld) -> None:
    custody_no, said = await awaiting(bank)
    _, other = await awaiting(bank, person=1)
    base, token = said["page_url"].rsplit("/", 1)
    assert len(token) >= 43 and custody_no not in said["page_url"] and "700" not in token
    flipped = ("A" if token[0] != "A" else "B") + token[1:]
    others = other["page_url"].rsplit("/", 1)[1]
    for wrong in (flipped, token[:-1], f"{token}x", others, "x", "%E4%BD%A0", "%00", token.swapcase(), "%ff"):
        for answer in (await bank.page(f"{base}/{wrong}"), await bank.confirm(f"{base}/{wrong}"), await bank.refuse(f"{base}/{wrong}")):
            assert answer.status == 404 and is_a_page(answer) and "There is nothing here" in answer.text
    for nobodys in (number(), "x", "%27"):
        assert (await bank.page(f"{bank.url}/p/{nobodys}/{token}")).status == 404
    assert (await bank.ask("query", request_no=said["request_no"])).said["status"] == "AWAITING"


async def test_a_direct_instruction_has_no_page(bank: BankWorld) -> None:
    custody_no = await bank.account()
    said = await bank.put("establish_project", {"project_no": number(), "custody_no": custody_no, "amount_fen": 100})
    path = f"/p/{said['request_no']}/{bank.serving._keyring.token('/p/' + said['request_no'])}"
    assert (await bank.page(f"{bank.url}{path}")).status == 404


@pytest.mark.parametrize(
    ("raw", "kind", "status"),
    [
        (b'{"deposit_password":"a deposit pass phrase"}', "application/json", 400),
        (b"deposit_password=a+deposit+pass+phrase&deposit_password=x", "application/x-www-form-urlencoded", 400),
        (b"a=1&b=2&c=3&d=4&e=5", "application/x-www-form-urlencoded", 400),
        (b"deposit_password=\xff", "application/x-www-form-urlencoded", 400),
        (b"deposit_password=%ff", "application/x-www-form-urlencoded", 400),
        (b"deposit_password=" + b"x" * 5_000, "application/x-www-form-urlencoded", 413),
        (b"deposit_password=a+deposit+pass+phrase", "text/plain", 400),
        (b"", "application/x-www-form-urlencoded", 403),
        (b"deposit_password=a+deposit+pass+phrase%00", "application/x-www-form-urlencoded", 403),
    ],
)
async def test_a_form_is_a_form(bank: BankWorld, raw: bytes, kind: str, status: int) -> None:
    custody_no, said = await awaiting(bank)
    answer = await bank._read("POST", said["page_url"], data=raw, headers={"Content-Type": kind}, allow_redirects=False)
    assert answer.status == status
    assert await bank.balance(custody_no) == (0, 0)


async def test_a_compressed_form_is_refused(bank: BankWorld) -> None:
    _, said = await awaiting(bank)
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    assert (await bank._read("POST", said["page_url"], data=b"x", headers=headers)).status == 415


async def test_every_page_kind_has_its_page(bank: BankWorld) -> None:
    borrower, project = await bank.account(10_000, cap_fen=10**9), number()
    investor = await bank.account(10_000, person=1)
    await bank.do("establish_project", {"project_no": project, "custody_no": borrower, "amount_fen": 10_000})
    hold = await bank.put("hold", {"project_no": project, "custody_no": investor, "amount_fen": 10_000}, page=True)
    assert "Hold money for a bid" in (await bank.page(hold["page_url"])).text
    await bank.confirm(hold["page_url"])
    assert (await bank.ended(hold["request_no"]))["status"] == "SUCCEEDED"
    await bank.do("confirm_loan", {"project_no": project, "count": 1, "sum_fen": 10_000})
    content = {"project_no": project, "custody_no": borrower, "due_fen": 12_000, "valid_on": "2025-01-31"}
    pay = await bank.put("collect", content, page=True)
    shown = await bank.page(pay["page_url"])
    assert "Pay an instalment" in shown.text and "¥120.00" in shown.text and "2025-01-31" in shown.text
    await bank.confirm(pay["page_url"])
    assert (await bank.ended(pay["request_no"]))["amount_fen"] == 12_000
    authorize = {"custody_no": borrower, "scope": "repay", "cap_fen": 500, "expires_on": "2026-01-01"}
    put = await bank.put("authorize", authorize, page=True)
    shown = await bank.page(put["page_url"])
    assert "At most each time" in shown.text and "¥5.00" in shown.text and "2026-01-01" in shown.text


async def test_while_the_ledger_is_away_a_member_is_not_told_that_it_is_done(bank: BankWorld) -> None:
    """A confirmation that the ledger has not seen yet shows as waiting, and takes effect when it is back."""
    custody_no, said = await awaiting(bank)
    crew = bank._crew
    assert crew is not None
    await crew.stop("bank")
    assert (await bank.confirm(said["page_url"])).status == 303
    assert Tags((await bank.page(said["page_url"])).text).named("form")
    await bank.stop()
    await bank.start()
    await until(lambda: bank.balance(custody_no))
    assert (await bank.ended(said["request_no"]))["status"] == "SUCCEEDED"


async def test_the_style_is_the_banks_own(bank: BankWorld) -> None:
    answer = await bank.page(f"{bank.url}/style.css")
    assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/css") and "url(" not in answer.text
