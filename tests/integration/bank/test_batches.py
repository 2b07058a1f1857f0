"""Whatever is instructed, and however the loop cuts it into batches, the books end alike: what a batch loads is enough."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from agents.runtime.decision import Message
from bank.agent import service
from bank.messages import DAY, Close, CloseDay, Execute, Instruct, OpenDay
from bank.model import CARD_NETWORK
from bank.tables import METADATA
from config.bank import Terms
from stores.runtime import parked
from tests.integration.bank.world import DATE, PLATFORM, confirmation, instruct, number, opening
from tests.integration.stores.memory import Memory, memory

PEOPLE = ("wang", "lin", "zhao")
PROJECTS = ("p", "q")
FEN = 10_000  # every amount is a few of these, so that sums are met by chance

STORY: tuple[tuple[Any, ...], ...] = (  # one loan is lent, repaid and closed; of another one bids are given back and given up
    ("open", "zhao"),
    ("recharge", "lin", 4),
    ("authorize", "lin", 3),
    ("establish_project", "p", "wang"),
    ("establish_project", "q", "lin"),
    ("hold", "p", "lin", 1, True),
    ("hold", "p", "lin", 3, False),
    ("hold", "p", "wang", 2, True),
    ("hold", "q", "wang", 2, True),
    ("release", 7),
    ("close", 12),
    ("confirm_loan", "p", 2, 4),
    ("hold", "q", "wang", 1, True),
    ("collect", "p", "wang", 3, True),
    ("confirm_repayment", 13, "lin", 3),
    ("collect", "p", "wang", 2, True),
    ("release", 15),
    ("confirm_loan", "q", 1, 2),
    ("close_project", "p"),
    ("roll",),
    ("collect", "q", "lin", 1, True),
    ("hold", "q", "wang", 1, False),
    ("close_project", "q"),
)

who = st.sampled_from(PEOPLE)
few = st.integers(1, 4)
which = st.integers(0, len(STORY) - 1)  # a request by its place in the story
MORE = st.one_of(
    st.tuples(st.just("recharge"), who, few),
    st.tuples(st.just("hold"), st.sampled_from(PROJECTS), who, few, st.booleans()),
    st.tuples(st.just("release"), which),
    st.tuples(st.just("confirm_loan"), st.sampled_from(PROJECTS), few, few),
    st.tuples(st.just("collect"), st.sampled_from(PROJECTS), who, few, st.booleans()),
    st.tuples(st.just("confirm_repayment"), which, who, few),
    st.tuples(st.just("close"), which),
)
CHANGES = st.dictionaries(which, MORE, max_size=4)  # what happens instead, by its place


def account_of(opened: dict[str, str], person: str) -> str:
    return opened.get(person, f"6{person}")


def instruction(n: int, step: Any, opened: dict[str, str]) -> Instruct | None:
    """The n-th step as an instruction; None for one that is none."""
    match step:
        case ("open", person):
            return opening(person).model_copy(update={"id": number(n), "content_mac": str(n)})
        case ("recharge", person, fen):
            return instruct(n, "recharge", {"custody_no": account_of(opened, person), "amount_fen": fen * FEN}, page=True)
        case ("authorize", person, fen):
            asked = {"custody_no": account_of(opened, person), "scope": "bid", "cap_fen": fen * FEN, "expires_on": "2026-03-03"}
            return instruct(n, "authorize", asked, page=True)
        case ("establish_project", project, person):
            asked = {"project_no": number(project), "custody_no": account_of(opened, person), "amount_fen": 4 * FEN}
            return instruct(n, "establish_project", asked)
        case ("hold", project, person, fen, page):
            asked = {"project_no": number(project), "custody_no": account_of(opened, person), "amount_fen": fen * FEN}
            return instruct(n, "hold", asked, page=page)
        case ("release", of):
            return instruct(n, "release", {"hold_no": number(of)})
        case ("confirm_loan", project, count, fen):
            return instruct(n, "confirm_loan", {"project_no": number(project), "count": count, "sum_fen": fen * FEN})
        case ("close_project", project):
            return instruct(n, "close_project", {"project_no": number(project)})
        case ("collect", project, person, fen, page):
            asked = {"project_no": number(project), "custody_no": account_of(opened, person), "due_fen": fen * FEN, "valid_on": DATE}
            return instruct(n, "collect", asked, page=page)
        case ("confirm_repayment", of, person, fen):
            asked = {
                "collect_no": number(of),
                "parts": [{"custody_no": account_of(opened, person), "amount_fen": fen * FEN - 1}],
                "fee_fen": 1,
            }
            return instruct(n, "confirm_repayment", asked)
    return None


def said(steps: list[Any], opened: dict[str, str]) -> Iterator[tuple[str, Message]]:
    """Every instruction, then every confirmation, then every execution in order, with the days and what is closed between them."""
    asked = [instruction(n, step, opened) for n, step in enumerate(steps)]
    yield from ((i.id, i) for i in asked if i)
    yield from ((i.id, confirmation(i)) for i in asked if i and i.page)
    for step, i in zip(steps, asked, strict=True):
        if i:
            yield i.id, Execute(id=i.id)
        elif step == ("roll",):
            yield DAY, CloseDay(id=DAY, date=DATE, platforms=(PLATFORM,))
        else:
            yield number(step[1]), Close(id=number(step[1]), platform=PLATFORM)


def before(bank: Memory) -> dict[str, str]:
    """The first day, and accounts for all but the last, with money; their numbers."""
    bank.run([bank.record(DAY, OpenDay(id=DAY, date=DATE))])
    first = [opening(person) for person in PEOPLE[:-1]]
    for messages in (first, [confirmation(i) for i in first], [Execute(id=i.id) for i in first]):
        bank.run([bank.record(m.id, m) for m in messages])
    numbers = dict(bank.connection.execute("SELECT member_id, custody_no FROM account").fetchall())
    opened = {person: str(numbers[number(person)]) for person in PEOPLE[:-1]}
    paid = [instruct(f"r {no}", "recharge", {"custody_no": no, "amount_fen": 6 * FEN}, page=True) for no in opened.values()]
    for messages in (paid, [confirmation(i) for i in paid], [Execute(id=i.id) for i in paid]):
        bank.run([bank.record(m.id, m) for m in messages])
    return opened


def books_of(bank: Memory) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of the bank's tables; an actor's version counts its batches and is left out."""
    tables = {
        table.name: (table, [c.name for c in table.columns].index("version") if "version" in table.columns else None)
        for table in METADATA.sorted_tables
    }
    return {
        name: [row if at is None else row[:at] + row[at + 1 :] for row in bank.rows(table)] for name, (table, at) in tables.items()
    }  # fmt: skip


def hold_good(bank: Memory) -> None:
    """Double entry, nobody overdrawn, projects and held accounts are their holds."""
    rows = books_of(bank)
    balances = dict(rows["balance"])
    sums: dict[str, int] = {}
    for _, request_no, account, fen, *_ in rows["journal"]:
        sums[account] = sums.get(account, 0) + fen
        assert request_no
    assert sum(sums.values()) == 0 and sums == balances
    assert all(fen >= 0 for account, fen in balances.items() if account != CARD_NETWORK)
    held = [row for row in rows["hold"] if row[5] == "HELD"]
    for project_no, _, _, _, count, fen in rows["project"]:
        assert (count, fen) == (sum(h[1] == project_no for h in held), sum(h[3] for h in held if h[1] == project_no))
    for account, fen in balances.items():
        if account.startswith("held:"):
            assert fen == sum(h[3] for h in held if f"held:{h[2]}" == account)


@settings(max_examples=60, deadline=None)
@given(CHANGES, st.sets(st.integers(1, 60)))
@example({}, set())
@example({}, set(range(60)))
def test_however_it_is_cut_into_batches_the_books_end_alike_and_hold_good(changes: dict[int, Any], cuts: set[int]) -> None:
    steps = [changes.get(n, step) for n, step in enumerate(STORY)]
    with ExitStack() as opened:
        alone, cut = (opened.enter_context(memory(service(Terms()), METADATA)) for _ in range(2))
        ends = []
        for bank, each in ((alone, True), (cut, False)):
            numbers = before(bank)
            records = [bank.record(actor, message) for actor, message in said(steps, numbers)]
            own_cuts = set(range(1, len(records))) if each else {*cuts, *edges(steps, numbers)}
            bank.run_cut(records, own_cuts)
            assert bank.rows(parked) == []  # no behaviour has raised
            hold_good(bank)
            ends.append(books_of(bank))
            if not changes:
                assert [row[3] for row in ends[-1]["project"]] == ["CLOSED", "CLOSED"]
                reasons = {n: row[0] for n, row in ((n, reason_of(bank, n)) for n in range(len(STORY))) if row and row[0]}
                assert reasons == {12: "closed", 20: "date_passed", 21: "project_closed"}
        assert ends[0] == ends[1]


def reason_of(bank: Memory, n: int) -> Any:
    return bank.connection.execute("SELECT reason FROM request WHERE id = ?", [number(n)]).fetchone()


def edges(steps: list[Any], opened: dict[str, str]) -> set[int]:
    """Where a batch has to end: an execution's timer is set by the COMMIT of what it follows from."""
    asked = [i for n, step in enumerate(steps) if (i := instruction(n, step, opened))]
    return {len(asked), len(asked) + sum(i.page for i in asked)}
