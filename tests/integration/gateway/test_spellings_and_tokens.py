"""At the door itself: all spellings of one name, number and key are one registration, and only its own token opens it (CASES D11)."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, quote, urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.registrations import ROUTE
from tests.integration.gateway.world import Answer, Client, World

LIVES: Final = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALPHABET: Final = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with World(tmp_path, wait_ms=1) as made:
        yield made


@pytest.fixture
async def quick(world: World) -> Client:
    """A gateway that waits for nobody."""
    return await world.gateway()


NAMES: Final = {
    "lin_xiao": [
        "Lin_Xiao",
        "LIN_XIAO",
        "ｌｉｎ＿ｘｉａｏ",
        "ＬＩＮ＿ｘｉａｏ",
        " lin_xiao ",
        "\u3000lin_xiao",
        "lin_x\u0130ao",
        "𝐥𝐢𝐧_𝐱𝐢𝐚𝐨",
    ],
    "jürgen": ["j\u00fcrgen", "ju\u0308rgen", "JU\u0308RGEN", "J\u00dcRGEN"],
    "fin_chen": ["\ufb01n_chen", "FIN_CHEN", "ﬁn＿chen"],
    "ilke": ["\u0130lke", "I\u0307lke", "ILKE", "ilKe"],
    "strasse": ["straße", "STRASSE", "Straẞe"],
    "σοφος": ["σοφος", "ΣΟΦΟΣ", "σοφοσ"],
    "id2024": ["ID２０２４", "id٢٠٢٤", "ⅠD2024"],
}


@pytest.mark.parametrize("name", NAMES)
async def test_case_d11_all_spellings_of_a_name_are_one_name_and_one_content(quick: Client, name: str) -> None:
    key, shown, ids = str(uuid.uuid4()), set(), set()
    for spelling in NAMES[name]:
        answer = await quick.register(key, login_name=spelling)
        assert answer.status == 202
        shown.add(answer.body["login_name"])
        ids.add(answer.body["id"])
    assert len(shown) == len(ids) == 1
    assert shown == {name} or name == "σοφος"


@pytest.mark.parametrize("spelling", [
    pytest.param("lin_xiao\u200b", id="zero width space"),
    pytest.param("lin\u00adxiao", id="soft hyphen"),
    pytest.param("lin_xiao\u202e", id="right to left override"),
    pytest.param("lin_xi\u0430o", id="Cyrillic a"),
    pytest.param("l\u03b9n_xiao", id="Greek iota"),
    pytest.param("lin xiao", id="space inside"),
    pytest.param("lin_xiao\u0000", id="NUL"),
    pytest.param("lin_xiao\ufe0f", id="variation selector"),
    pytest.param("lin_xiao\U000e0061", id="tag letter"),
    pytest.param("١٣٨٠٠٠٠٠٠٠٠", id="a mobile in Arabic digits"),
    pytest.param("１３８－０００－０００００", id="a mobile in full width"),
])  # fmt: skip
async def test_case_d11_a_look_alike_of_a_name_is_refused_at_its_place(quick: Client, spelling: str) -> None:
    answer = await quick.register(login_name=spelling)
    assert (answer.status, answer.code, answer.pointers) == (422, "invalid_body", {"/login_name"})


async def test_all_spellings_of_a_mobile_are_looked_up_as_one_and_reach_the_bus_sealed(quick: Client, world: World) -> None:
    spellings = [
        "13800000000",
        "+8613800000000",
        "008613800000000",
        "138 0000 0000",
        "138-0000-0000",
        "１３８００００００００",
        "＋86　138－0000－0000",
    ]
    for spelling in spellings:
        assert (await quick.register(mobile=spelling)).body["mobile"] == "138****0000"
    asked = await world.commands_of_people()
    assert {world.keyring.open(one.message.mobile, field="mobile") for one in asked} == {"13800000000"}
    assert len({one.message.mobile_lookup for one in asked}) == 1 and len({one.message.mobile for one in asked}) == len(spellings)
    assert len({one.actor for one in asked}) == len(spellings)


@pytest.mark.parametrize("password", ["pässword1", "pa\u0308ssword1"])
async def test_one_password_in_two_unicode_forms_is_one_content(quick: Client, world: World, password: str) -> None:
    await quick.register(password="p\u00e4ssword1")
    await quick.register(password=password)
    first, second = await world.commands_of_people()
    assert first.mac == second.mac and first.message.password_hash != second.message.password_hash


async def test_passwords_that_differ_in_case_or_width_are_other_contents(quick: Client, world: World) -> None:
    for password in ("correct horse", "Correct horse", "correct horse ", "ｃorrect horse"):
        assert (await quick.register(password=password)).status == 202
    assert len({one.mac for one in await world.commands_of_people()}) == 4


def token_of(answer: Answer) -> str:
    """The token that a Location has."""
    (token,) = parse_qs(urlsplit(answer.headers["Location"]).query)["token"]
    return token


@LIVES
@given(data=st.data())
async def test_a_token_with_any_character_changed_left_out_or_added_is_not_found(quick: Client, data: st.DataObject) -> None:
    made = await quick.register("0f7c1c5e-3a50-4f07-8d21-5f2f0a7bb0aa")
    token = token_of(made)
    at = data.draw(st.integers(0, len(token) - 1))
    letter = data.draw(st.sampled_from(ALPHABET) | st.characters(exclude_categories=["Cs"]))
    head, tail = token[:at], token[at + data.draw(st.integers(0, 2)) :]
    wrong = data.draw(st.sampled_from([head + letter + tail, head + tail, head, token + letter, letter + token, token * 2, token[::-1]]))
    answer = await quick.get(f"{ROUTE}/{made.body['id']}?token={quote(wrong, safe='')}")
    if wrong == token:
        assert answer.status == 503  # it opens: there is a store, and it cannot be read yet
    else:
        assert (answer.status, answer.code) == (404, "not_found")


@pytest.mark.parametrize("query", [
    pytest.param("", id="no token"),
    pytest.param("?token", id="no value"),
    pytest.param("?token=", id="empty"),
    pytest.param("?Token={token}", id="name in capitals"),
    pytest.param("?token={token}&token={token}", id="twice the right one"),
    pytest.param("?token={token}&token=x", id="right, then wrong"),
    pytest.param("?token=x&token={token}", id="wrong, then right"),
    pytest.param("?token={token}%00", id="NUL after it"),
    pytest.param("?token=%20{token}", id="space before it"),
    pytest.param("?token={token}=", id="padded"),
    pytest.param("?token={upper}", id="in capitals"),
    pytest.param("?token=%22{token}%22", id="in quotes"),
    pytest.param("?token[]={token}", id="as a list"),
    pytest.param("?x=1#token={token}", id="in the fragment"),
])  # fmt: skip
async def test_what_is_not_exactly_the_token_once_is_not_found(quick: Client, query: str) -> None:
    made = await quick.register()
    token = token_of(made)
    answer = await quick.get(f"{ROUTE}/{made.body['id']}{query.format(token=token, upper=token.upper())}")
    assert (answer.status, answer.code) == (404, "not_found") and token not in str(answer.body)


@pytest.mark.parametrize(
    "change", [str.upper, lambda s: s.replace("-", ""), lambda s: f"{{{s}}}", lambda s: f"{s}%20", lambda s: f"urn:uuid:{s}"]
)
async def test_the_right_token_opens_no_other_spelling_of_the_id(quick: Client, change: object) -> None:
    made = await quick.register()
    spelt = change(made.body["id"])  # type: ignore[operator]
    assert (await quick.get(f"{ROUTE}/{spelt}?token={token_of(made)}")).code == "not_found"


async def test_another_platforms_token_opens_nothing(quick: Client, tmp_path: Path) -> None:
    key = str(uuid.uuid4())
    async with World(tmp_path / "other", wait_ms=1) as other:
        theirs = await (await other.gateway()).register(key)
    ours = await quick.register(key)
    assert theirs.body["id"] == ours.body["id"] and token_of(theirs) != token_of(ours)
    assert (await quick.get(theirs.headers["Location"])).code == "not_found"
