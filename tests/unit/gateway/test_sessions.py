"""Sessions: a token says who somebody is, for a time, and nothing that is not one of ours is believed."""

import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from joserfc import jwt
from joserfc.jwk import OctKey

from agents.runtime.http.problems import Problem
from agents.runtime.sealing import Keyring
from config import roles
from config.keys import generate
from gateway.logging_in import ADDRESS_TRIES_MAX, TRIES_MAX, WINDOW_S, Throttle, login_of
from gateway.sessions import AUDIENCE, ISSUER, SESSION_S, Sessions
from gateway.table import OPERATIONS

ACCOUNT = "7d444840-9dc0-51d1-b245-5ffdce74fad2"


class Clock:
    def __init__(self) -> None:
        self.ms = 1_800_000_000_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def keyring() -> Keyring:
    return Keyring.from_keys(generate())


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(keyring: Keyring, clock: Clock) -> Sessions:
    return Sessions(keyring, clock)


def with_(*values: str) -> Any:
    return make_mocked_request("GET", "/", headers=[("Authorization", value) for value in values])  # type: ignore[arg-type]


async def code_of(sessions: Sessions, *values: str, permission: str = "see_me") -> str:
    with pytest.raises(Problem) as refused:
        await sessions(with_(*values), permission)
    return refused.value.code


async def test_a_token_tells_who_it_is_and_what_he_may(sessions: Sessions) -> None:
    token, good_s = sessions.open(ACCOUNT, "investor")
    who = await sessions(with_(f"Bearer {token}"), "bid")
    assert (who.id, who.role, good_s) == (ACCOUNT, "investor", SESSION_S)
    assert await code_of(sessions, f"Bearer {token}", permission="publish_loan") == "not_allowed"
    assert await code_of(sessions, f"Bearer {token}", permission="no such permission") == "not_allowed"


async def test_another_gateway_of_the_platform_knows_it_and_another_platform_does_not(keyring: Keyring, clock: Clock) -> None:
    token, _ = Sessions(keyring, clock).open(ACCOUNT, "investor")
    assert (await Sessions(keyring, clock)(with_(f"bearer {token}"), "see_me")).id == ACCOUNT
    assert await code_of(Sessions(Keyring.from_keys(generate()), clock), f"Bearer {token}") == "not_signed_in"


async def test_it_is_good_until_its_time_is_over_and_no_longer(sessions: Sessions, clock: Clock) -> None:
    token, _ = sessions.open(ACCOUNT, "investor")
    clock.ms += SESSION_S * 1000 - 1
    assert (await sessions(with_(f"Bearer {token}"), "see_me")).id == ACCOUNT
    clock.ms += 1
    assert await code_of(sessions, f"Bearer {token}") == "not_signed_in"


async def test_who_logs_out_is_out_and_his_other_session_is_not(sessions: Sessions) -> None:
    first, _ = sessions.open(ACCOUNT, "investor")
    second, _ = sessions.open(ACCOUNT, "investor")
    sessions.end(sessions.of(with_(f"Bearer {first}")))
    assert await code_of(sessions, f"Bearer {first}") == "not_signed_in"
    assert (await sessions(with_(f"Bearer {second}"), "see_me")).id == ACCOUNT


@pytest.mark.parametrize(
    "values",
    [(), ("",), ("Bearer",), ("Bearer ",), ("Basic abc",), ("Bearer a.b.c",), ("Bearer x", "Bearer x"), ("Bearer " + "a" * 3_000,)],
)
async def test_what_is_no_token_signs_nobody_in(sessions: Sessions, values: tuple[str, ...]) -> None:
    assert await code_of(sessions, *values) == "not_signed_in"


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "HS256", "typ": "JWT"}, {}),
        ({"alg": "HS512", "typ": "at+jwt"}, {}),
        ({"alg": "HS256", "typ": "at+jwt"}, {"iss": "somebody"}),
        ({"alg": "HS256", "typ": "at+jwt"}, {"aud": "another"}),
        ({"alg": "HS256", "typ": "at+jwt"}, {"exp": None}),
        ({"alg": "HS256", "typ": "at+jwt"}, {"exp": "9999999999"}),
    ],
    ids=["another type", "another algorithm", "another issuer", "another audience", "no end", "an end that is no number"],
)
async def test_a_token_of_our_key_that_is_no_access_token_of_ours_is_none(
    keyring: Keyring, sessions: Sessions, header: dict[str, str], claims: dict[str, Any]
) -> None:
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": ACCOUNT, "role": "investor", "exp": 1_900_000_000, "jti": "x", **claims}
    key = OctKey.import_key(keyring.session_key())
    token = jwt.encode(header, {k: v for k, v in said.items() if v is not None}, key, algorithms=["HS256", "HS512"])
    assert await code_of(sessions, f"Bearer {token}") == "not_signed_in"


async def test_a_token_that_was_changed_is_none(sessions: Sessions) -> None:
    import base64

    head, body, mark = sessions.open(ACCOUNT, "investor")[0].split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "role": "operator"}).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(b'{"alg":"none","typ":"at+jwt"}').decode().rstrip("=")
    for token in (f"{head}.{other}.{mark}", f"{none}.{body}.", f"{none}.{body}.{mark}"):
        assert await code_of(sessions, f"Bearer {token}") == "not_signed_in"


def test_every_permission_of_the_api_is_somebodys_and_nothing_else_is_allowed() -> None:
    wanted = {operation.permission for operation in OPERATIONS if operation.permission}
    given = set().union(*roles.PERMISSIONS.values())
    assert wanted == given
    assert not roles.may("", "see_me") and not roles.may("root", "see_me")
    assert not any(roles.may(role, "audit_loan") for role in roles.OF_MEMBERS)
    assert set(roles.PERMISSIONS) == {*roles.OF_MEMBERS, *roles.OF_STAFF}


@pytest.mark.parametrize("typed", ["+86 138-0000-0000", "13800000000", "１３８００００００００"])
def test_every_spelling_of_a_number_is_one_login_and_a_name_is_another(keyring: Keyring, typed: str) -> None:
    assert login_of(typed, keyring) == login_of("138 0000 0000", keyring) and login_of(typed, keyring).mobile_lookup
    assert login_of("Lin_Xiao", keyring) == ("lin_xiao", "")
    assert login_of("not a name \x00", keyring) == ("", "")


def test_who_fails_too_often_waits_and_is_let_in_again_when_the_window_is_over() -> None:
    throttle = Throttle()
    for n in range(TRIES_MAX):
        assert throttle.wait_s("lin", TRIES_MAX, float(n)) == 0
        throttle.failed("lin", float(n))
    assert throttle.wait_s("lin", TRIES_MAX, 20.0) == WINDOW_S - 20
    assert throttle.wait_s("zhao", TRIES_MAX, 20.0) == 0 and throttle.wait_s("lin", ADDRESS_TRIES_MAX, 20.0) == 0
    assert throttle.wait_s("lin", TRIES_MAX, WINDOW_S + 1) == 0
