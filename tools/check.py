"""`lendbus check`: whether the stores agree about every registration; what is broken is named by id, exit code 1."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from tools.options import Options
from tools.output import Column, Failed, say

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.consistency import Picture

PAGE: Final = 2_000
AGAIN_S: Final = 0.3  # the stores are read one after the other while they change: a finding must be there twice
COLUMNS = (Column("result"), Column("rule"), Column("id", fixed=True), Column("detail"))


def command(options: Options) -> None:
    """Every AVAILABLE account has its AVAILABLE member of a CONFIRMED registration, and the reverse; claims belong to accounts."""
    rows = options.run(_checked(options.settings))
    options.out.rows(rows, COLUMNS, empty="nothing is registered yet, so nothing disagrees")
    if count := sum(row["result"] == "fail" for row in rows):
        raise Failed(f"{count} findings: the stores disagree; `lendbus trace ID` tells the story of each id")
    say("the stores agree")


async def _checked(settings: "Settings") -> list[dict[str, Any]]:
    from stores.inspection import counts
    from tools.consistency import broken, in_flight, same
    from tools.reading import ask, services

    picture = await pictured(settings)
    found = broken(picture)
    if found:
        await asyncio.sleep(AGAIN_S)
        found = same(found, broken(await pictured(settings)))
    rows = [_row("fail", finding.rule, finding.id, finding.detail) for finding in found]
    rows += [
        _row("warn" if r.stuck else "ok", "in_flight", which, f"{r.status}{', stuck' if r.stuck else ''}")
        for which, r in in_flight(picture.registrations).items()
    ]
    for service in services():
        actors, letters = await ask(settings, service, counts)
        if actors:
            rows.append(_row("warn", "suspended_actors", None, f"{actors} in {service}: lendbus stuck ls"))
        if letters:
            rows.append(_row("warn", "dead_letters", None, f"{letters} in {service}: lendbus dlq ls"))
    rows.append(
        _row(
            "fail" if found else "ok",
            "registrations",
            None,
            f"{len(picture.registrations)} registrations, {len(picture.accounts)} accounts",
        )
    )
    return rows


def _row(result: str, rule: str, which: str | None, detail: str) -> dict[str, Any]:
    return {"result": result, "rule": rule, "id": which, "detail": detail}


async def pictured(settings: "Settings") -> "Picture":
    """Both stores, the user centre first: what it calls CONFIRMED was AVAILABLE in accounts before that."""
    from stores.consistency import account_names
    from stores.inspection import claims_page
    from stores.users import statuses
    from tools.consistency import Account, Picture, Registration

    picture = Picture()
    async for row in _pages(settings, "users", statuses):
        picture.registrations[row.id] = Registration(row.status, row.member_status, bool(row.stuck))
    async for row in _pages(settings, "accounts", account_names):
        claims = frozenset({f"login_name:{row.login_name}", f"mobile:{row.mobile_lookup}"})
        picture.accounts[row.id] = Account(row.status, claims)
    async for value, owner in _pages(settings, "accounts", claims_page):
        picture.claims[value] = owner
    return picture


async def _pages(settings: "Settings", service: str, question: Callable[..., Awaitable[list[Any]]]) -> AsyncIterator[Any]:
    """Every row of a question that is asked a page at a time; its first column is what the next page comes after."""
    from tools.reading import ask

    after = ""
    while page := await ask(settings, service, partial(question, after=after, limit=PAGE)):
        for row in page:
            yield row
        after = page[-1][0]
