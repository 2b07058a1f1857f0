"""`lendbus check`: whether the stores agree about every registration, loan, plan and order; what is broken is named by id, exit code 1."""

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from tools.options import Options
from tools.output import Column, Failed, say

if TYPE_CHECKING:
    from config.settings import Settings
    from tools.consistency import Finding, Picture
    from tools.rules.picture import Flight
    from tools.rules.picture import Picture as Money

AGAIN_S: Final = 0.3  # the stores are read one after the other while they change: a finding must be there twice
STAFF_ROLES: Final = frozenset({"auditor", "operator", "administrator"})
OF_MONEY: Final = frozenset({"trading", "repayments", "custody"})  # the services that the rules about money speak of
FLIGHTS_SHOWN_MAX: Final = 200
COLUMNS = (Column("result"), Column("rule"), Column("id", fixed=True), Column("detail"))

Row = dict[str, Any]


class Look(NamedTuple):
    """Everything at about one moment; `money` is None on a platform without those services."""

    people: "Picture"
    money: "Money | None"

    def broken(self) -> "list[Finding]":
        """Every rule that does not hold."""
        from tools.consistency import broken
        from tools.rules import across, local

        found = broken(self.people)
        return found if self.money is None else [*found, *local.broken(self.money), *across.broken(self.money)]

    def in_flight(self) -> "list[Flight]":
        """What has not ended, and is blamed for nothing."""
        from tools.rules import across

        return [] if self.money is None else across.in_flight(self.money)


def command(options: Options) -> None:
    """Accounts and members, loans and bids, plans and receivables, orders and the bank's entries; what is under way is listed."""
    rows = options.run(checked(options.settings))
    options.out.rows(rows, COLUMNS, empty="nothing is registered yet, so nothing disagrees")
    if count := sum(row["result"] == "fail" and row["id"] is not None for row in rows):
        raise Failed(f"{count} findings: the stores disagree; `lendbus trace ID` tells the story of each id")
    say("the stores agree")


async def checked(settings: "Settings") -> list[Row]:
    """The rows of a whole check: findings first, then what is under way, what waits for a person, and the counts."""
    look = await looked(settings)
    found = await disagreements(settings, look)
    rows = [_row("fail", finding.rule, finding.id, finding.detail) for finding in found]
    return [*rows, *_under_way(look), *await _waiting(settings), *_counts(look, found)]


async def disagreements(settings: "Settings", look: Look | None = None, *, with_bank: bool | None = None) -> "list[Finding]":
    """What is broken, also when it is looked at once more."""
    from tools.consistency import same

    found = (look or await looked(settings, with_bank=with_bank)).broken()
    if found:
        await asyncio.sleep(AGAIN_S)
        found = same(found, (await looked(settings, with_bank=with_bank)).broken())
    return found


async def looked(settings: "Settings", *, with_bank: bool | None = None) -> Look:
    """Every store, read once; the bank's too where its books are here, or where somebody says so."""
    from tools.picturing import of_money
    from tools.services import SERVICES

    people = await pictured(settings)
    return Look(people, await of_money(settings, with_bank=with_bank) if set(SERVICES) >= OF_MONEY else None)


def _under_way(look: Look) -> list[Row]:
    from tools.consistency import in_flight

    rows = [
        _row("warn" if r.stuck else "ok", "in_flight", which, f"registration {r.status}{', stuck' if r.stuck else ''}")
        for which, r in in_flight(look.people.registrations).items()
    ]
    flights = look.in_flight()
    rows += [_row("ok", "in_flight", flight.id, f"{flight.kind}: {flight.detail}") for flight in flights[:FLIGHTS_SHOWN_MAX]]
    if len(flights) > FLIGHTS_SHOWN_MAX:
        rows.append(_row("ok", "in_flight", None, f"and {len(flights) - FLIGHTS_SHOWN_MAX} more"))
    return rows


async def _waiting(settings: "Settings") -> list[Row]:
    from stores.inspection import counts
    from tools.reading import ask, services

    rows = []
    for service in services():
        actors, letters = await ask(settings, service, counts)
        if actors:
            rows.append(_row("warn", "suspended_actors", None, f"{actors} in {service}: lendbus stuck ls"))
        if letters:
            rows.append(_row("warn", "dead_letters", None, f"{letters} in {service}: lendbus dlq ls"))
    return rows


def _counts(look: Look, found: "list[Finding]") -> list[Row]:
    people, money = look.people, look.money
    said = f"{len(people.registrations)} registrations, {len(people.accounts)} accounts"
    rows = [_row("fail" if found else "ok", "registrations" if money is None else "everything", None, said)]
    if money is not None:
        rows[0]["detail"] += f", {len(money.loans)} loans, {len(money.bids)} bids, {len(money.plans)} plans, {len(money.orders)} orders"
        if not money.bank:
            rows.append(
                _row("warn", "bank_not_here", None, "the bank's books are not in this folder: only the platform's stores were compared")
            )
    return rows


def _row(result: str, rule: str, which: str | None, detail: str) -> Row:
    return {"result": result, "rule": rule, "id": which, "detail": detail}


async def pictured(settings: "Settings") -> "Picture":
    """Members and accounts, the user centre first: what it calls CONFIRMED was AVAILABLE in accounts before that."""
    from stores.consistency import account_names
    from stores.inspection import claims_page
    from stores.users import statuses
    from tools.consistency import Account, Picture, Registration
    from tools.picturing import pages

    picture = Picture()
    async for row in pages(settings, "users", statuses):
        picture.registrations[row.id] = Registration(row.status, row.member_status, bool(row.stuck))
    async for row in pages(settings, "accounts", account_names):
        claims = {f"login_name:{row.login_name}", *([f"mobile:{row.mobile_lookup}"] if row.mobile_lookup else [])}
        picture.accounts[row.id] = Account(row.status, frozenset(claims), row.role in STAFF_ROLES)
    async for value, owner in pages(settings, "accounts", claims_page):
        picture.claims[value] = owner
    return picture
