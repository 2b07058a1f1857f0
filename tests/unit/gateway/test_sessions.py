"""Sessions: a token says who somebody is, for a time, and nothing that is not one of ours is believed."""

import base64
import json
from typing import Any

import pytest
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jwt
from joserfc.jwk import OctKey
from multidict import CIMultiDict

from agents.runtime.http.problems import Problem
from agents.runtime.sealing import Keyring
from config.keys import generate
from gateway import sessions as module
from gateway.principals import Principal
from gateway.sessions import AUDIENCE, CLOCKS_DIFFER_S, ISSUER, PURPOSE, SESSION_S, TYPE, Sessions

WHO = Principal("7d444840-9dc0-51d1-b245-5ffdce74fad2", "investor")
NOW_S = 1_800_000_000
KEYRING = Keyring.from_keys(generate())


class Clock:
    """Stands until it is moved."""

    def __init__(self) -> None:
        self.ms = NOW_S * 1_000

    def __call__(self) -> int:
        return self.ms


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def sessions(clock: Clock) -> Sessions:
    return Sessions(KEYRING, clock)


def showing(*values: str) -> Any:
    """A request with these in its Authorization."""
    return make_mocked_request("GET", "/", headers=CIMultiDict(("Authorization", value) for value in values))


async def code_of(sessions: Sessions, *values: str, permission: str = "see_me") -> str:
    with pytest.raises(Problem) as refused:
        await sessions(showing(*values), permission)
    return refused.value.code


async def test_a_token_tells_who_it_is_and_what_he_may(sessions: Sessions) -> None:
    token = sessions.begun(WHO)
    assert await sessions(showing(f"Bearer {token}"), "bid") == WHO
    assert await code_of(sessions, f"Bearer {token}", permission="publish_loan") == "not_allowed"
    assert await code_of(sessions, f"Bearer {token}", permission="no such permission") == "not_allowed"


async def test_another_gateway_of_the_platform_knows_it_and_another_platform_does_not(sessions: Sessions, clock: Clock) -> None:
    shown = f"bearer {sessions.begun(WHO)}"
    assert await Sessions(KEYRING, clock)(showing(shown), "see_me") == WHO
    assert await code_of(Sessions(Keyring.from_keys(generate()), clock), shown) == "not_signed_in"


async def test_it_is_good_until_its_time_is_over_and_no_longer(sessions: Sessions, clock: Clock) -> None:
    token = sessions.begun(WHO)
    clock.ms += (SESSION_S + CLOCKS_DIFFER_S) * 1_000 - 1
    assert await sessions(showing(f"Bearer {token}"), "see_me") == WHO
    clock.ms += 1
    assert await code_of(sessions, f"Bearer {token}") == "not_signed_in"


async def test_who_logs_out_is_out_and_his_other_session_is_not(sessions: Sessions) -> None:
    first, second = sessions.begun(WHO), sessions.begun(WHO)
    ended = sessions.of(showing(f"Bearer {first}"))
    assert ended is not None
    sessions.end(ended)
    assert await code_of(sessions, f"Bearer {first}") == "not_signed_in"
    assert await sessions(showing(f"Bearer {second}"), "see_me") == WHO


def test_as_many_ended_sessions_are_remembered_as_may_be_and_those_that_are_over_are_not(
    sessions: Sessions, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "ENDED_MAX", 2)
    tokens = [sessions.begun(WHO) for _ in range(3)]
    for token in tokens:
        session = sessions.read(token)
        assert session is not None
        sessions.end(session)
    assert [sessions.read(token) is None for token in tokens] == [False, True, True]
    clock.ms += (SESSION_S + CLOCKS_DIFFER_S + 1) * 1_000
    session = sessions.read(sessions.begun(WHO))
    assert session is not None
    sessions.end(session)
    assert list(sessions._ended) == [session.id]


@pytest.mark.parametrize(
    "values",
    [
        (),
        ("",),
        ("Bearer",),
        ("Bearer ",),
        ("Basic abc",),
        ("Bearer a.b.c",),
        ("Bearer x", "Bearer x"),
        ("Bearer " + "a" * 3_000,),
        ("Bearer 令",),
    ],
)
async def test_what_is_no_token_signs_nobody_in(sessions: Sessions, values: tuple[str, ...]) -> None:
    assert await code_of(sessions, *values) == "not_signed_in"


async def test_two_good_tokens_at_once_are_none(sessions: Sessions) -> None:
    good = f"Bearer {sessions.begun(WHO)}"
    assert await code_of(sessions, good, good) == "not_signed_in"


def signed(header: dict[str, str], **claims: Any) -> str:
    """A token of our key that says what the test wants; None: not said."""
    said = {"iss": ISSUER, "aud": AUDIENCE, "sub": WHO.id, "role": WHO.role, "iat": NOW_S, "exp": NOW_S + 60, "jti": "x", **claims}
    key = OctKey.import_key(KEYRING.derived(PURPOSE))
    return jwt.encode(
        header, {name: value for name, value in said.items() if value is not None}, key, algorithms=["HS256", "HS512"], default_type=None
    )


OURS = {"alg": "HS256", "typ": TYPE}


@pytest.mark.parametrize(
    ("header", "claims"),
    [
        ({"alg": "HS256"}, {}),
        ({"alg": "HS256", "typ": "JWT"}, {}),
        ({"alg": "HS512", "typ": TYPE}, {}),
        (OURS, {"iss": "somebody"}),
        (OURS, {"aud": "another"}),
        (OURS, {"exp": None}),
        (OURS, {"exp": "9999999999"}),
        (OURS, {"iat": NOW_S + CLOCKS_DIFFER_S + 1}),
        (OURS, {"sub": None}),
        (OURS, {"role": None}),
        (OURS, {"jti": None}),
    ],
    ids=lambda value: " ".join(f"{k}={v}" for k, v in value.items()) or "as usual",
)
def test_a_token_of_our_key_that_is_no_session_of_ours_is_none(sessions: Sessions, header: dict[str, str], claims: dict[str, Any]) -> None:
    assert sessions.read(signed(OURS)) is not None
    assert sessions.read(signed(header, **claims)) is None


def test_nobody_gives_himself_another_role_or_takes_the_signature_away(sessions: Sessions) -> None:
    head, body, mark = sessions.begun(WHO).split(".")
    claims = json.loads(base64.urlsafe_b64decode(body + "=="))
    other = base64.urlsafe_b64encode(json.dumps({**claims, "role": "operator"}).encode()).decode().rstrip("=")
    none = base64.urlsafe_b64encode(json.dumps({"alg": "none", "typ": TYPE}).encode()).decode().rstrip("=")
    for token in (f"{head}.{other}.{mark}", f"{none}.{body}.", f"{none}.{body}.{mark}", f"{head}.{body}."):
        assert sessions.read(token) is None


@given(st.text(max_size=200) | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}", fullmatch=True))
def test_whatever_somebody_sends_is_no_token_and_no_failure(text: str) -> None:
    assert Sessions(KEYRING, lambda: NOW_S * 1_000).read(text) is None


def test_the_key_of_tokens_is_no_other_key() -> None:
    keys = generate()
    ring = Keyring.from_keys(keys)
    assert ring.derived("one") == Keyring.from_keys(keys).derived("one") != ring.derived("another")
    assert ring.derived("one") not in (keys.token, keys.mac, keys.lookup, *keys.seal.values())
